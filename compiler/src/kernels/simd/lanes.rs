//! Vectors of four among themselves.

use gristmill_kernel::{Builder, Expr};

/// Lane `i` of result `j` is lane `j` of operand `i`.
pub fn transpose(b: &mut Builder, rows: [&Expr; 4]) -> [Expr; 4] {
    let [r0, r1, r2, r3] = rows;
    let a = b.let_("low01", r0.shuffle(r1, [0, 4, 1, 5]));
    let c = b.let_("low23", r2.shuffle(r3, [0, 4, 1, 5]));
    let d = b.let_("high01", r0.shuffle(r1, [2, 6, 3, 7]));
    let e = b.let_("high23", r2.shuffle(r3, [2, 6, 3, 7]));
    [a.shuffle(&c, [0, 1, 4, 5]), a.shuffle(&c, [2, 3, 6, 7]), d.shuffle(&e, [0, 1, 4, 5]), d.shuffle(&e, [2, 3, 6, 7])]
}

/// Sums of neighbouring lanes of two vectors. `narrow` promises that i32 lanes fit 16 bits.
fn pair_sums(b: &mut Builder, x: &Expr, y: &Expr, narrow: bool) -> Expr {
    let sums = match narrow {
        true => x.pair_sums(y),
        false => x.shuffle(y, [0, 2, 4, 6]) + x.shuffle(y, [1, 3, 5, 7]),
    };
    b.let_("pairs", sums)
}

/// The sums of the lanes of four vectors.
pub fn sums(b: &mut Builder, rows: [&Expr; 4], narrow: bool) -> Expr {
    let first = pair_sums(b, rows[0], rows[1], narrow);
    let second = pair_sums(b, rows[2], rows[3], narrow);
    pair_sums(b, &first, &second, narrow)
}

/// The sums of the first two lanes of four vectors, and those of the last two.
pub fn half_sums(b: &mut Builder, rows: [&Expr; 4], narrow: bool) -> [Expr; 2] {
    let first = pair_sums(b, rows[0], rows[1], narrow);
    let second = pair_sums(b, rows[2], rows[3], narrow);
    [first.shuffle(&second, [0, 2, 4, 6]), first.shuffle(&second, [1, 3, 5, 7])]
}
