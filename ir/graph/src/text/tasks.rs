//! Binds the tasks of entries.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::binder::{Binder, Eval};
use super::diagnostics::nearest_hint;
use super::file::{CutDecl, FitDecl, OutputDecl, SourceDecl, Table, TaskDecl, Text};
use super::parser::expression;
use super::value::Value;
use crate::graph::{EntryRole, NodeId};
use crate::op::Op;
use crate::task::{Cut, Fit, Source, Task, TaskInput, TaskOutput};

/// The largest number of classes of a model.
const MAX_LABELS: usize = 1 << 16;

impl<'a> Binder<'a> {
    /// The task of an entry with these outputs; none if its `when` does not hold.
    pub(super) fn task(&mut self, decl: &TaskDecl<'a>, role: EntryRole, outputs: &[String]) -> Eval<Option<Task>> {
        if let Some(when) = decl.when {
            let condition = self.formula(expression(when.0))?;
            if !self.eval_bool(&condition)? {
                return Ok(None);
            }
        }
        let used = self.inputs_of(role, outputs);
        let mut inputs = Vec::new();
        for (input, source) in &decl.inputs.0 {
            if !used.contains(input.0) && self.diagnostics.is_empty() {
                let hint = nearest_hint(input.0, used.iter().map(String::as_str));
                return Err(self.fail_with(input.0, format!("this entry does not use an input `{}`", input.0), hint));
            }
            inputs.push(TaskInput { input: input.0.to_string(), source: self.source(source)? });
        }
        Ok(Some(Task { inputs, output: self.task_output(&decl.output, role, outputs)? }))
    }

    fn task_output(&mut self, decl: &OutputDecl<'a>, role: EntryRole, outputs: &[String]) -> Eval<TaskOutput> {
        Ok(match decl {
            OutputDecl::Classify { scores, labels, independent } => {
                let classes = self.last_axis(*scores, outputs)?;
                TaskOutput::Classify {
                    scores: scores.0.to_string(),
                    labels: self.labels(*labels, classes)?,
                    independent: self.truth(*independent)?,
                }
            }
            OutputDecl::Detect { scores, boxes, labels } => {
                let classes = self.last_axis(*scores, outputs)?.map(|n| n - 1);
                self.last_axis(*boxes, outputs)?;
                let labels = self.labels(*labels, classes)?;
                TaskOutput::Detect { scores: scores.0.to_string(), boxes: boxes.0.to_string(), labels }
            }
            OutputDecl::Compare { scores } => {
                self.last_axis(*scores, outputs)?;
                TaskOutput::Compare { scores: scores.0.to_string() }
            }
            OutputDecl::Ctc { tokens, blank } => {
                self.last_axis(*tokens, outputs)?;
                TaskOutput::Ctc { tokens: tokens.0.to_string(), blank: self.token(*blank)? }
            }
            OutputDecl::Seq2Seq { features, into, step } => {
                self.last_axis(*features, outputs)?;
                if !self.inputs.iter().any(|i| i.name == into.0) {
                    let hint = nearest_hint(into.0, self.inputs.iter().map(|i| i.name.as_str()));
                    return Err(self.fail_with(into.0, format!("unknown input `{}`", into.0), hint));
                }
                let step = step.map(|step| self.positive(step)).transpose()?;
                TaskOutput::Seq2Seq { features: features.0.to_string(), into: into.0.to_string(), step }
            }
            OutputDecl::ImagePrompt { token, .. } if role != EntryRole::Encode => {
                return Err(self.fail(token.0, "`ImagePrompt` needs an entry with the role Encode"));
            }
            OutputDecl::ImagePrompt { token, count, placeholder } => TaskOutput::ImagePrompt {
                token: self.token(Some(*token))?,
                count: self.size(*count)?,
                placeholder: placeholder.map(|formula| self.text(formula)).transpose()?,
            },
        })
    }

    /// Names of the inputs that these outputs need. An entry that encodes also computes all kept states.
    fn inputs_of(&self, role: EntryRole, outputs: &[String]) -> BTreeSet<String> {
        let kept = |op: &Op| role == EntryRole::Encode && matches!(op, Op::StateKeep(_));
        let graph = self.builder.graph.restricted(outputs, &kept);
        let inputs = graph.nodes.iter().filter_map(|n| match n.op {
            Op::Input(i) => self.inputs.get(i as usize),
            _ => None,
        });
        inputs.map(|i| i.name.clone()).collect()
    }

    fn source(&mut self, decl: &SourceDecl<'a>) -> Eval<Source> {
        Ok(match decl {
            SourceDecl::Text => Source::Text,
            SourceDecl::Mask => Source::Mask,
            SourceDecl::Image { settings, fit, cut } => Source::Image {
                settings: self.settings(settings)?,
                fit: fit.as_ref().map(|fit| self.fit(fit)).transpose()?,
                cut: cut.as_ref().map_or(Ok(Cut::Whole), |cut| self.cut(cut))?,
            },
            SourceDecl::Frames { settings } => Source::Frames { settings: self.settings(settings)? },
            SourceDecl::Sizes(sizes) => Source::Sizes(sizes.iter().map(|size| self.size(*size)).collect::<Eval<_>>()?),
            SourceDecl::Audio { settings, through } => {
                Source::Audio { settings: self.settings(settings)?, through: through.map(|entry| entry.0.to_string()) }
            }
        })
    }

    /// A size over the symbols of an image, in one line.
    fn size(&mut self, text: Text<'a>) -> Eval<String> {
        Ok(self.interpolate(text.0)?.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn fit(&mut self, decl: &FitDecl<'a>) -> Eval<Fit> {
        match decl {
            FitDecl::Best { sizes } => self.sizes(*sizes).map(|sizes| Fit::Best { sizes }),
            FitDecl::Multiple { of, least, most } => Ok(Fit::Multiple {
                of: self.positive(*of)?,
                least: self.positive(*least)?,
                most: self.positive(*most)?,
            }),
        }
    }

    /// A list of height and width.
    fn sizes(&mut self, sizes: Text<'a>) -> Eval<Vec<[u32; 2]>> {
        let formula = self.formula(expression(sizes.0))?;
        let value = self.eval(&formula)?;
        let side = |v: &Value<'_>| v.as_int().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        let size = |v: &Value<'_>| match v {
            Value::List(two) => <[u32; 2]>::try_from(two.iter().map(side).collect::<Option<Vec<_>>>()?).ok(),
            _ => None,
        };
        let all = match &value {
            Value::List(items) => items.iter().map(size).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty()),
            _ => None,
        };
        all.ok_or_else(|| {
            let found = self.describe(&value);
            self.fail(sizes.0, format!("expected a list of height and width in pixels, found {found}"))
        })
    }

    fn cut(&mut self, decl: &CutDecl<'a>) -> Eval<Cut> {
        Ok(match decl {
            CutDecl::Tiles { side } => Cut::Tiles { side: self.positive(*side)? },
            CutDecl::Patches { side, merge, frames } => Cut::Patches {
                side: self.positive(*side)?,
                merge: self.positive(*merge)?,
                frames: self.positive(*frames)?,
            },
        })
    }

    /// A number above 0.
    fn positive(&mut self, text: Text<'a>) -> Eval<u32> {
        let formula = self.formula(expression(text.0))?;
        let value = self.eval(&formula)?;
        value.as_int().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0).ok_or_else(|| {
            let found = self.describe(&value);
            self.fail(text.0, format!("expected a whole number above 0, found {found}"))
        })
    }

    fn text(&mut self, text: Text<'a>) -> Eval<String> {
        let formula = self.formula(expression(text.0))?;
        match self.eval(&formula)? {
            Value::Text(text) => Ok(text),
            other => {
                let found = self.describe(&other);
                Err(self.fail(text.0, format!("expected a text, found {found}")))
            }
        }
    }

    fn settings(&mut self, settings: &Table<'a, Text<'a>>) -> Eval<Map<String, Json>> {
        let mut all = Map::new();
        for (key, text) in &settings.0 {
            let formula = self.formula(expression(text.0))?;
            let value = self.eval_maybe(&formula)?;
            match json(&value) {
                Some(value) => all.insert(key.0.to_string(), value),
                None => {
                    let found = self.describe(&value);
                    let message = format!("a setting must be a number, text, bool, list or object, found {found}");
                    return Err(self.fail(text.0, message));
                }
            };
        }
        Ok(all)
    }

    /// The size of the last axis of an output, if it is constant.
    fn last_axis(&mut self, output: Text<'a>, outputs: &[String]) -> Eval<Option<i64>> {
        let node: Option<NodeId> = self.builder.graph.outputs.get(output.0).copied();
        match node.filter(|_| outputs.iter().any(|o| o == output.0)) {
            Some(id) => Ok(self.builder.graph.node(id).shape.last().and_then(|d| d.as_const())),
            // An output that failed has been reported.
            None if !self.diagnostics.is_empty() => Ok(None),
            None => {
                let hint = nearest_hint(output.0, outputs.iter().map(String::as_str));
                Err(self.fail_with(output.0, format!("this entry has no output `{}` here", output.0), hint))
            }
        }
    }

    /// A token id; 0 without a formula.
    fn token(&mut self, formula: Option<Text<'a>>) -> Eval<u32> {
        let Some(text) = formula else { return Ok(0) };
        let formula = self.formula(expression(text.0))?;
        match self.eval(&formula)? {
            Value::Int(id) if u32::try_from(id).is_ok() => Ok(id as u32),
            other => {
                let found = self.describe(&other);
                Err(self.fail(text.0, format!("expected a token id, found {found}")))
            }
        }
    }

    fn truth(&mut self, formula: Option<Text<'a>>) -> Eval<bool> {
        let Some(text) = formula else { return Ok(false) };
        let formula = self.formula(expression(text.0))?;
        self.eval_bool(&formula)
    }

    /// The names of classes: an object with numbers as keys (`id2label`), or a list.
    fn labels(&mut self, formula: Option<Text<'a>>, classes: Option<i64>) -> Eval<Vec<String>> {
        let Some(text) = formula else { return Ok(Vec::new()) };
        let formula = self.formula(expression(text.0))?;
        let value = self.eval_maybe(&formula)?;
        let named = match &value {
            Value::Absent => return Ok(Vec::new()),
            Value::Object(map) => from_object(map),
            Value::List(items) => items.iter().map(as_text).collect(),
            _ => None,
        };
        let Some(labels) = named else {
            let found = self.describe(&value);
            let message = format!("expected the names of classes by number (as id2label) or as a list, found {found}");
            return Err(self.fail(text.0, message));
        };
        match classes {
            Some(n) if n != labels.len() as i64 => {
                Err(self.fail(text.0, format!("{} names for {n} classes", labels.len())))
            }
            _ => Ok(labels),
        }
    }
}

/// Names by number; numbers that are left out get the name that Hugging Face gives them.
fn from_object(map: &Map<String, Json>) -> Option<Vec<String>> {
    let numbered: Option<Vec<(usize, &str)>> =
        map.iter().map(|(key, label)| Some((key.parse().ok()?, label.as_str()?))).collect();
    let numbered = numbered?;
    let count = numbered.iter().map(|(n, _)| n + 1).max().unwrap_or(0);
    if count > MAX_LABELS {
        return None;
    }
    let mut labels: Vec<String> = (0..count).map(|n| format!("LABEL_{n}")).collect();
    for (n, label) in numbered {
        labels[n] = label.to_string();
    }
    Some(labels)
}

fn as_text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// A value as JSON, if it is of a kind that JSON has.
fn json(value: &Value<'_>) -> Option<Json> {
    Some(match value {
        Value::Absent => Json::Null,
        Value::Bool(b) => Json::from(*b),
        Value::Int(v) => Json::from(*v),
        Value::Float(v) => Json::from(*v),
        Value::Text(t) => Json::from(t.as_str()),
        Value::List(items) => Json::Array(items.iter().map(json).collect::<Option<_>>()?),
        Value::Object(map) => Json::Object((*map).clone()),
        Value::Poison | Value::Dim(_) | Value::Vector(_) | Value::Mask(_) | Value::Node(_) => return None,
    })
}
