//! For pages: JavaScript has Unicode tables and shortest decimals, so they need not be downloaded.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(inline_js = r#"
const kinds = [/\p{L}/u, /\p{Nd}/u, /[\p{Nd}\p{Nl}\p{No}]/u, /[\p{C}\p{Z}]/u,
  /[\u00b2-\u00b3\u00b9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792\u{10a40}-\u{10a43}\u{10e60}-\u{10e68}\u{11052}-\u{1105a}\u{1f100}-\u{1f10a}]/u,
  /[\u3405\u3483\u382a\u3b4d\u4e00\u4e03\u4e07\u4e09\u4e5d\u4e8c\u4e94\u4e96\u4ebf-\u4ec0\u4edf\u4ee8\u4f0d\u4f70\u5104\u5146\u5169\u516b\u516d\u5341\u5343-\u5345\u534c\u53c1-\u53c4\u56db\u58f1\u58f9\u5e7a\u5efe-\u5eff\u5f0c-\u5f0e\u5f10\u62fe\u634c\u67d2\u6f06\u7396\u767e\u8086\u842c\u8cae\u8cb3\u8d30\u9621\u9646\u964c\u9678\u96f6\uf96b\uf973\uf978\uf9b2\uf9d1\uf9d3\uf9fd\u{20001}\u{20064}\u{200e2}\u{20121}\u{2092a}\u{20983}\u{2098c}\u{2099c}\u{20aea}\u{20afd}\u{20b19}\u{22390}\u{22998}\u{23b1b}\u{2626d}\u{2f890}]/u];
export function isKind(code, kind) { return kinds[kind].test(String.fromCodePoint(code)); }
export function lower(text) { return text.toLowerCase(); }
export function upper(text) { return text.toUpperCase(); }
export function scientific(x) { return x.toExponential(); }
export function parse(text) { return Number(text); }
"#)]
extern "C" {
    #[wasm_bindgen(js_name = isKind)]
    fn is_kind(code: u32, kind: u32) -> bool;
    #[wasm_bindgen(js_name = lower)]
    fn js_lower(text: &str) -> String;
    #[wasm_bindgen(js_name = upper)]
    fn js_upper(text: &str) -> String;
    #[wasm_bindgen(js_name = scientific)]
    fn js_scientific(x: f64) -> String;
    #[wasm_bindgen(js_name = parse)]
    fn js_parse(text: &str) -> f64;
}

/// Letters.
pub(crate) fn is_alpha(c: char) -> bool {
    is_kind(c as u32, 0)
}

/// Digits in circles or as exponents, which are not decimals.
pub(crate) fn is_digit(c: char) -> bool {
    is_kind(c as u32, 4)
}

/// Numbers that are not digits, including some Chinese characters.
pub(crate) fn is_numeric(c: char) -> bool {
    is_kind(c as u32, 2) || is_kind(c as u32, 5)
}

/// Characters that `repr` does not escape.
pub(crate) fn is_printable(c: char) -> bool {
    !is_kind(c as u32, 3)
}

/// The value of a decimal digit. The digits of each script are consecutive, starting at zero.
pub(crate) fn decimal(c: char) -> Option<u32> {
    // A run of digits starts after a character that is not a digit, or at known positions in the mathematics block.
    const MATHEMATICS: u32 = 0x1d7ce;
    let code = c as u32;
    if !is_kind(code, 1) {
        return None;
    }
    if (MATHEMATICS..MATHEMATICS + 50).contains(&code) {
        return Some((code - MATHEMATICS) % 10);
    }
    (0..10).find(|d| !is_kind(code - d - 1, 1))
}

pub(crate) fn lower(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { js_lower(text) }
}

pub(crate) fn upper(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_uppercase() } else { js_upper(text) }
}

/// The shortest decimal for this number, such as `1.5e-7`.
pub(crate) fn scientific(x: f64) -> String {
    js_scientific(x)
}

/// Parses a number whose syntax was checked.
pub(crate) fn parse_float(text: &str) -> f64 {
    js_parse(text)
}
