use super::*;
use proptest::prelude::*;

const SYMBOLS: [&str; 3] = ["B", "P", "T"];

fn eval(text: &str) -> Result<u64, SizeError> {
    text.parse::<Size>()?.resolve(&SYMBOLS)?.eval(&[2, 5, 7])
}

#[test]
fn values() {
    for (text, value) in [
        ("4*B*T*(P + T)", 4 * 2 * 7 * 12),
        ("ceil_div(B*T, 4)", 4),
        ("floor_div(B*T, 4)", 3),
        ("max(T, 16)", 16),
        ("max(T, 1, 2*P, 3)", 10),
        ("min(T, 16) - 1", 6),
        ("min(T, 16, P)", 5),
        ("-P + T", 2),
        ("-(P - T)*3", 6),
        ("0", 0),
        ("T - P - 1", 1),
    ] {
        assert_eq!(eval(text), Ok(value), "{text}");
    }
}

#[test]
fn faults() {
    for (text, what) in [
        ("", "expected a value, found the end"),
        ("B +", "expected a value, found the end"),
        ("B T", "expected an operator or the end, found `T`"),
        ("Q", "`Q` is not a declared symbol"),
        ("max(B)", "expected `,`, found `)`"),
        ("ceil_div(B, 2, 3)", "expected `)`, found `,`"),
        ("B / 2", "unexpected character at byte 2"),
        ("P - T", "is negative here"),
        ("ceil_div(T, B - 2)", "divides by zero, or has a negative operand"),
        ("9223372036854775807*B", "overflows"),
        ("18446744073709551615", "overflows"),
        ("99999999999999999999", "contains a number of more than 64 bits"),
    ] {
        assert_eq!(eval(text).unwrap_err().what, what, "{text}");
    }
    let deep = format!("{}B{}", "(".repeat(100), ")".repeat(100));
    assert!(eval(&deep).unwrap_err().what.contains("nested deeper"));
    assert!(eval(&"1+".repeat(600)).unwrap_err().what.contains("longer than"));
}

#[test]
fn text_is_as_short_as_it_can_be() {
    for text in [
        "4*B*T*(P + T)",
        "max(B, 2*P, T)",
        "max(B, max(P, T))",
        "min(max(B, P, 3), T) - 1",
        "-P + T",
        "B - (P - T)",
        "B*(P*T)",
        "ceil_div(ceil_div(B*T, 4), 2)",
    ] {
        assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
    }
    assert_eq!("((B) + (P*(T)))".parse::<Size>().unwrap().to_string(), "B + P*T");
}

#[test]
fn what_no_reader_takes_is_not_written() {
    let long = (0..400).fold(Size::symbol("B"), |sum, n| Size::of(SizeOp::Add, sum, Size::Int(n)));
    assert!(serde_json::to_string(&long).unwrap_err().to_string().contains("longer than 1000 bytes"));
    let deep = (0..40).fold(Size::symbol("B"), |size, _| Size::of(SizeOp::CeilDiv, size, Size::Int(2)));
    assert!(serde_json::to_string(&deep).unwrap_err().to_string().contains("nested deeper"));
    assert!(serde_json::from_str::<Size>("\"B +\"").unwrap_err().to_string().contains("expected a value"));
    // Lists stay flat, however many operands they have.
    let list = (0..100).fold(Size::symbol("B"), |size, n| Size::of(SizeOp::Max, size, Size::Int(n)));
    assert_eq!(serde_json::from_str::<Size>(&serde_json::to_string(&list).unwrap()).unwrap(), list);
}

fn sizes() -> impl Strategy<Value = Size> {
    let leaf = prop_oneof![(0u64..20).prop_map(Size::Int), prop::sample::select(&SYMBOLS[..]).prop_map(Size::symbol)];
    let ops = [SizeOp::Add, SizeOp::Sub, SizeOp::Mul, SizeOp::CeilDiv, SizeOp::FloorDiv, SizeOp::Max, SizeOp::Min];
    leaf.prop_recursive(5, 30, 2, move |inner| {
        (prop::sample::select(ops.to_vec()), inner.clone(), inner).prop_map(|(op, a, b)| Size::of(op, a, b))
    })
}

proptest! {
    #[test]
    fn any_text_is_judged(text in "[-BPTxcm0-9a-z_+*(), é]{0,60}") {
        let _ = eval(&text);
    }

    #[test]
    fn text_gives_the_tree_back(size in sizes()) {
        let text = size.to_string();
        prop_assert_eq!(text.parse::<Size>(), Ok(size), "{}", text);
    }

    #[test]
    fn a_tree_has_the_value_of_its_operands(
        op in prop::sample::select(vec![SizeOp::Add, SizeOp::Sub, SizeOp::Mul, SizeOp::CeilDiv, SizeOp::FloorDiv, SizeOp::Max, SizeOp::Min]),
        a in sizes(),
        b in sizes(),
    ) {
        let values = [2, 5, 7];
        let value = |s: &Size| s.resolve(&SYMBOLS).unwrap().eval(&values);
        if let (Ok(x), Ok(y)) = (value(&a), value(&b)) {
            let expected = match op {
                SizeOp::Add => x.checked_add(y),
                SizeOp::Sub => x.checked_sub(y),
                SizeOp::Mul => x.checked_mul(y),
                SizeOp::CeilDiv => (y > 0).then(|| x.div_ceil(y)),
                SizeOp::FloorDiv => x.checked_div(y),
                SizeOp::Max => Some(x.max(y)),
                SizeOp::Min => Some(x.min(y)),
            };
            prop_assert_eq!(value(&Size::of(op, a, b)).ok(), expected.filter(|n| i64::try_from(*n).is_ok()));
        }
    }
}
