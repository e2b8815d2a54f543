//! Compares computed tensors with expected ones.

use gristmill_runtime::{Data, Tensor};

use crate::output::{Align, Table};
use gristmill_runtime::Tensors;

/// A tensor that uses more than this fraction of the tolerance is suspicious: rounding errors are far smaller.
const LOOSE_PART: f64 = 0.1;

/// The verdict about one tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Within the tolerance.
    Ok,
    /// Within the tolerance, but closer to it than rounding errors explain.
    Loose,
    /// Outside the tolerance, or not comparable for the given reason.
    Fail(String),
}

/// The comparison of one tensor. Numbers are absent where they are meaningless (integers, different shapes).
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Name of the tensor.
    pub(crate) name: String,
    /// Largest absolute error, in standard deviations of the expected tensor.
    pub(crate) max_over_std: Option<f64>,
    /// Root mean square error, relative to the root mean square of the expected tensor.
    pub(crate) rel_rms: Option<f64>,
    /// Cosine similarity of the two tensors.
    pub(crate) cosine: Option<f64>,
    /// Number of elements compared.
    pub(crate) compared: usize,
    /// What was skipped; may be empty.
    pub(crate) note: String,
    /// The verdict.
    pub(crate) verdict: Verdict,
}

/// All comparisons, and the tensors that could not be compared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comparison {
    /// One per tensor that both sides have.
    pub(crate) rows: Vec<Row>,
    /// Expected tensors that were not computed.
    pub(crate) missing: Vec<String>,
}

impl Comparison {
    /// Whether at least one tensor was compared and none failed.
    pub(crate) fn passes(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|r| !matches!(r.verdict, Verdict::Fail(_)))
    }

    /// The table, followed by a summary line.
    pub(crate) fn render(&self, tolerance: f64) -> String {
        let mut table = Table::new(&[
            ("tensor", Align::Left),
            ("max|e|/std", Align::Right),
            ("rel RMS", Align::Right),
            ("cosine", Align::Right),
            ("verdict", Align::Left),
        ]);
        let number = |v: Option<f64>| v.map_or("-".to_string(), |v| format!("{v:.2e}"));
        for r in &self.rows {
            let mut verdict = match &r.verdict {
                Verdict::Ok => "ok".to_string(),
                Verdict::Loose => "ok, but loose".to_string(),
                Verdict::Fail(why) if why.is_empty() => "FAIL".to_string(),
                Verdict::Fail(why) => format!("FAIL: {why}"),
            };
            if !r.note.is_empty() {
                verdict.push_str(&format!(" ({})", r.note));
            }
            let cosine = r.cosine.map_or("-".to_string(), |c| format!("{c:.7}"));
            table.row([r.name.clone(), number(r.max_over_std), number(r.rel_rms), cosine, verdict]);
        }
        for name in &self.missing {
            table.row([name.clone(), "-".into(), "-".into(), "-".into(), "not produced".into()]);
        }
        let failed = self.rows.iter().filter(|r| matches!(r.verdict, Verdict::Fail(_))).count();
        let (n, missing) = (self.rows.len(), self.missing.len());
        let line = match (n, failed) {
            (0, _) => "FAIL: the model produced none of the expected tensors".to_string(),
            (_, 0) => format!("PASS: {n} outputs within {tolerance:e} standard deviations, {missing} not produced"),
            _ => format!("FAIL: {failed} of {n} outputs differ by more than {tolerance:e} standard deviations"),
        };
        format!("{}{line}\n", table.render(0))
    }
}

/// The positions of a tensor of shape `[B, T, ..]` to compare.
pub(crate) struct Mask<'a> {
    /// `attention_mask`, `[B, T]`; positions with zeros are skipped.
    pub(crate) mask: &'a Tensor,
    /// Whether the first axes of a tensor are those of the mask.
    pub(crate) applies: &'a dyn Fn(&str) -> bool,
}

/// Compares each expected tensor that was computed. Floats pass if no element differs by more than `tolerance` times
/// the standard deviation of the expected tensor, integers if they are equal.
pub(crate) fn compare(produced: &Tensors, expected: &Tensors, mask: Option<&Mask<'_>>, tolerance: f64) -> Comparison {
    let mut out = Comparison::default();
    for (name, want) in expected {
        match produced.get(name) {
            Some(have) => {
                let mask = mask.filter(|m| (m.applies)(name)).map(|m| m.mask);
                out.rows.push(one(name, have, want, mask, tolerance));
            }
            None => out.missing.push(name.clone()),
        }
    }
    out
}

fn one(name: &str, have: &Tensor, want: &Tensor, mask: Option<&Tensor>, tolerance: f64) -> Row {
    let mut row = Row {
        name: name.to_string(),
        max_over_std: None,
        rel_rms: None,
        cosine: None,
        compared: 0,
        note: String::new(),
        verdict: Verdict::Ok,
    };
    let Some(mut pick) = Pick::new(&have.shape, &want.shape) else {
        row.verdict = Verdict::Fail(format!("shape {:?} instead of {:?}", have.shape, want.shape));
        return row;
    };
    if pick.last < pick.positions {
        row.note = format!("last {} of {} positions", pick.last, pick.positions);
    }
    if let Some(left_out) = mask.and_then(|m| pick.apply(m)) {
        row.note = format!("{left_out} masked positions left out");
    }
    match (&have.data, &want.data) {
        (Data::F32(h), Data::F32(w)) => floats(&mut row, &pick.pairs(h, w), tolerance),
        (Data::I32(h), Data::I32(w)) => {
            let pairs = pick.pairs(h, w);
            row.compared = pairs.len();
            let differ = pairs.iter().filter(|(a, b)| a != b).count();
            if differ > 0 {
                row.verdict = Verdict::Fail(format!("{differ} of {} values differ", pairs.len()));
            }
        }
        (h, w) => row.verdict = Verdict::Fail(format!("{} instead of {}", h.type_name(), w.type_name())),
    }
    row
}

/// The elements to compare, as runs of `width` elements at `(computed, expected)` positions.
struct Pick {
    width: usize,
    positions: usize,
    last: usize,
    batch: usize,
    at: Vec<(usize, usize)>,
}

impl Pick {
    /// Tensors of equal shapes are compared in full. An expected tensor may also contain only the last positions (axis
    /// 1), as language models return them if only the last logits are requested.
    fn new(have: &[usize], want: &[usize]) -> Option<Self> {
        let same = have == want;
        let tail = have.len() >= 2
            && have.len() == want.len()
            && have[0] == want[0]
            && have[2..] == want[2..]
            && have[1] > want[1];
        if !same && !tail {
            return None;
        }
        if have.len() < 2 {
            let width = have.iter().product();
            return Some(Pick { width, positions: 1, last: 1, batch: 1, at: vec![(0, 0)] });
        }
        let (batch, positions, last) = (have[0], have[1], want[1]);
        let width = have[2..].iter().product();
        let skip = positions - last;
        let at = (0..batch).flat_map(|b| (0..last).map(move |t| (b * positions + skip + t, b * last + t))).collect();
        Some(Pick { width, positions, last, batch, at })
    }

    /// Skips positions where the mask is zero. Returns their number, or `None` if the mask has a different shape.
    fn apply(&mut self, mask: &Tensor) -> Option<usize> {
        let values = mask.as_i32()?;
        if mask.shape != [self.batch, self.positions] || values.len() != self.batch * self.positions {
            return None;
        }
        let before = self.at.len();
        self.at.retain(|(have, _)| values[*have] != 0);
        let left_out = before - self.at.len();
        (left_out > 0).then_some(left_out)
    }

    fn pairs<T: Copy>(&self, have: &[T], want: &[T]) -> Vec<(T, T)> {
        let row = |v: &[T], i: usize| v.get(i * self.width..(i + 1) * self.width).unwrap_or_default().to_vec();
        self.at.iter().flat_map(|(h, w)| row(have, *h).into_iter().zip(row(want, *w))).collect()
    }
}

fn floats(row: &mut Row, pairs: &[(f32, f32)], tolerance: f64) {
    row.compared = pairs.len();
    if pairs.is_empty() {
        return;
    }
    let n = pairs.len() as f64;
    let (mut max, mut square_error, mut hh, mut ww, mut hw, mut sum) = (0f64, 0f64, 0f64, 0f64, 0f64, 0f64);
    let mut not_finite = 0;
    for (h, w) in pairs.iter().map(|(h, w)| (f64::from(*h), f64::from(*w))) {
        if !h.is_finite() || !w.is_finite() {
            not_finite += usize::from(h != w);
            continue;
        }
        max = max.max((h - w).abs());
        square_error += (h - w) * (h - w);
        (hh, ww, hw, sum) = (hh + h * h, ww + w * w, hw + h * w, sum + w);
    }
    let spread = (ww / n - (sum / n) * (sum / n)).max(0.0).sqrt();
    // A constant tensor has no deviation; its magnitude is the next best unit, or 1 if it is all zeros.
    let magnitude = (ww / n).sqrt();
    let unit = match (spread, magnitude) {
        (s, m) if s > 1e-6 * m => s,
        (_, m) if m > 0.0 => m,
        _ => 1.0,
    };
    let over = max / unit;
    row.max_over_std = Some(over);
    row.rel_rms = Some((square_error / n).sqrt() / magnitude.max(1e-30));
    row.cosine = Some(if hh == 0.0 && ww == 0.0 { 1.0 } else { hw / (hh.sqrt() * ww.sqrt()).max(1e-300) });
    row.verdict = if not_finite > 0 {
        Verdict::Fail(format!("{not_finite} values are not finite"))
    } else if over > tolerance {
        Verdict::Fail(String::new())
    } else if over > tolerance * LOOSE_PART {
        Verdict::Loose
    } else {
        Verdict::Ok
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, t: Tensor) -> Tensors {
        Tensors::from([(name.to_string(), t)])
    }

    fn f(shape: &[usize], data: &[f32]) -> Tensor {
        Tensor::f32(shape, data.to_vec())
    }

    #[test]
    fn tolerance_is_in_units_of_the_spread() {
        let want = set("x", f(&[4], &[10.0, -10.0, 10.0, -10.0]));
        let have = |e: f32| set("x", f(&[4], &[10.0 + e, -10.0, 10.0, -10.0]));
        assert_eq!(compare(&have(0.0005), &want, None, 1e-3).rows[0].verdict, Verdict::Ok);
        assert_eq!(compare(&have(0.005), &want, None, 1e-3).rows[0].verdict, Verdict::Loose);
        let bad = compare(&have(0.02), &want, None, 1e-3);
        assert_eq!(bad.rows[0].verdict, Verdict::Fail(String::new()));
        assert!(!bad.passes());
    }

    #[test]
    fn masked_positions_do_not_count() {
        let want = set("x", f(&[1, 2, 2], &[1.0, -1.0, 1.0, -1.0]));
        let have = set("x", f(&[1, 2, 2], &[f32::NAN, 7.0, 1.0, -1.0]));
        assert!(!compare(&have, &want, None, 1e-3).passes());
        let tensor = Tensor::i32([1, 2], vec![0, 1]);
        let all = Mask { mask: &tensor, applies: &|_| true };
        let c = compare(&have, &want, Some(&all), 1e-3);
        assert!(c.passes());
        assert_eq!(c.rows[0].note, "1 masked positions left out");
        let none = Mask { mask: &tensor, applies: &|_| false };
        assert!(!compare(&have, &want, Some(&none), 1e-3).passes());
    }

    #[test]
    fn last_positions_alone_may_be_expected() {
        let have = set("logits", f(&[2, 2, 1], &[9.0, 1.0, 9.0, -1.0]));
        let want = set("logits", f(&[2, 1, 1], &[1.0, -1.0]));
        let c = compare(&have, &want, None, 1e-3);
        assert!(c.passes(), "{c:?}");
        assert_eq!(c.rows[0].note, "last 1 of 2 positions");
    }

    #[test]
    fn shapes_types_and_integers_are_judged() {
        let want = Tensors::from([
            ("a".to_string(), f(&[2], &[1.0, 2.0])),
            ("b".to_string(), Tensor::i32([2], vec![1, 2])),
            ("c".to_string(), f(&[1], &[1.0])),
            ("d".to_string(), f(&[1], &[1.0])),
        ]);
        let have = Tensors::from([
            ("a".to_string(), f(&[1, 2], &[1.0, 2.0])),
            ("b".to_string(), Tensor::i32([2], vec![1, 3])),
            ("c".to_string(), Tensor::i32([1], vec![1])),
        ]);
        let text = compare(&have, &want, None, 1e-3).render(1e-3);
        for line in ["shape [1, 2] instead of [2]", "1 of 2 values differ", "i32 instead of f32", "not produced"] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn nothing_in_common_fails() {
        let c = compare(&Tensors::new(), &set("x", f(&[1], &[1.0])), None, 1e-3);
        assert!(!c.passes());
        assert!(c.render(1e-3).contains("produced none of the expected tensors"));
    }

    #[test]
    fn values_that_are_not_finite_fail() {
        let want = set("x", f(&[3], &[1.0, 2.0, 3.0]));
        let have = set("x", f(&[3], &[1.0, f32::NAN, 3.0]));
        assert!(!compare(&have, &want, None, 1e9).passes());
        let infinite = set("x", f(&[2], &[f32::INFINITY, 1.0]));
        assert!(compare(&infinite, &infinite.clone(), None, 1e-3).passes());
    }
}
