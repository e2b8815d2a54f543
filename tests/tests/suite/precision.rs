//! 8-bit weights barely change the outputs of any family, and 4-bit weights change those of a trained model only a
//! little.

use gristmill_tests::goldens::{Case, root};
use gristmill_tests::precision::{Place, said, worst_cosine};
use rayon::prelude::*;

/// Minimum cosine similarity of a final output with the golden one.
const EIGHT_BITS: f64 = 0.999;
/// Minimum cosine similarity of the logits of a trained model with those at f32.
const FOUR_BITS: f64 = 0.99;

/// The golden models have random weights, in which rounding errors do not average out: for trained models this is a low
/// bar. `docs/precision.md` has the figures.
#[test]
fn eight_bits_keep_what_every_family_says() {
    let cases = Case::all_below(&root().join("tests/goldens"));
    assert!(cases.len() >= 45, "{} cases", cases.len());
    let judge = |case: &Case| match worst_cosine(case, "q8", Place::Reference) {
        Ok((_, cosine)) if cosine >= EIGHT_BITS => None,
        Ok((name, cosine)) => Some(format!("{} {name}: {cosine:.5}", case.name)),
        Err(e) => Some(format!("{}: {e}", case.name)),
    };
    let below: Vec<String> = cases.par_iter().filter_map(judge).collect();
    assert!(below.is_empty(), "expected cosines of at least {EIGHT_BITS}:\n{}", below.join("\n"));
}

/// A story of the kind that the model was trained on.
const STORY: &str = "Once upon a time, there was a little girl named Lily. She lived with her mom and dad in a small house \
    near a mill. One day, Lily went to the mill to see how the flour was made. The big wheel was turning and the water \
    was loud. \"Hello, little girl,\" said the old man. \"Do you want to help me?\" Lily was very happy. She wanted to \
    help him. She took a small bag and put the flour in it. The bag was very heavy, but Lily was strong. She carried it \
    home to her mom. Her mom was so proud of her. They made a big bread and they ate it together. Then Lily gave some \
    bread to the old man, and he said thank you. They were friends from that day on.";

#[test]
fn four_bits_keep_what_a_trained_model_says() {
    let model = root().join("examples/stories260K");
    let [full, low] = ["f32", "default"].map(|p| said(&model, p, Place::Reference, STORY).unwrap());
    assert!(low.outputs.len() >= 3, "{} stretches", low.outputs.len());
    let (cosine, same) = (low.worst_cosine(&full), low.same_tokens(&full));
    println!("{cosine:.5}, {same:?}");
    assert!(cosine >= FOUR_BITS, "{cosine}");
    assert!(low.size < 0.3, "these are no four bits: {}", low.size);
}
