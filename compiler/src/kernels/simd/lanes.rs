//! Operations on the lanes of vectors of four.

pub use gristmill_kernel::quant::transpose;
use gristmill_kernel::{Builder, Expr};

/// Sums of adjacent lanes of two vectors. `narrow` promises that i32 lanes fit into 16 bits.
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
