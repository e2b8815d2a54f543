//! Matches tensor names with the patterns of architecture files.

/// Whether a name fits a pattern such as `(model.|)layers.{i}.norm.(weight|gamma)`. Braces are not evaluated: a single
/// letter stands for a number, anything else for any text with dots.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return name.is_empty() };
    match first {
        '(' => {
            let Some(close) = pattern.find(')') else { return false };
            let rest = &pattern[close + 1..];
            pattern[1..close].split('|').any(|choice| fits(&format!("{choice}{rest}"), name))
        }
        '{' => {
            let Some(close) = pattern.find('}') else { return false };
            let (hole, rest) = (&pattern[1..close], &pattern[close + 1..]);
            if hole.trim().len() == 1 {
                let digits = name.chars().take_while(char::is_ascii_digit).count();
                return (1..=digits).any(|n| fits(rest, &name[n..]));
            }
            // A number would be the index of a repetition.
            let open = |text: &str| !text.contains(|c: char| c.is_ascii_digit());
            let whole = |text: &str| text.is_empty() || text.ends_with('.') || rest.starts_with('.');
            let ends = (0..=name.len()).filter_map(|n| name.split_at_checked(n));
            ends.filter(|(text, _)| open(text) && whole(text)).any(|(_, behind)| fits(rest, behind))
        }
        c => name.strip_prefix(c).is_some_and(|behind| fits(&pattern[c.len_utf8()..], behind)),
    }
}

/// A name with the index of its repetition left open (`layers.{i}.norm.weight`), and that index. Only the first number
/// between dots counts.
pub(super) fn general(name: &str) -> (String, Option<u64>) {
    let mut found = None;
    let parts = name.split('.').map(|part| match part.parse::<u64>() {
        Ok(number) if found.is_none() => {
            found = Some(number);
            "{i}".to_string()
        }
        _ => part.to_string(),
    });
    let text = parts.collect::<Vec<_>>().join(".");
    (text, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_the_names_that_they_stand_for() {
        let pattern = "(model.|)layers.{i}.norm.(weight|gamma)";
        for name in ["model.layers.0.norm.weight", "layers.12.norm.gamma"] {
            assert!(fits(pattern, name), "{name}");
        }
        for name in ["model.layers.x.norm.weight", "layers..norm.gamma", "layers.1.norm.beta", "layers.1.norm.weight.x"]
        {
            assert!(!fits(pattern, name), "{name}");
        }
        assert!(fits("({prefix}.|)head.weight", "wav.head.weight") && fits("({prefix}.|)head.weight", "head.weight"));
        assert!(fits("{prefix}norm.weight", "model.norm.weight") && fits("{prefix}norm.weight", "norm.weight"));
        assert!(!fits("{prefix}norm.weight", "model.layers.0.norm.weight"));
        assert!(!fits("{prefix}norm.weight", "model.layernorm.weight"));
        assert!(!fits("a(b", "ab") && !fits("a{b", "ab"));
    }

    #[test]
    fn numbers_are_left_open_once() {
        assert_eq!(general("h.3.mlp.0.weight"), ("h.{i}.mlp.0.weight".to_string(), Some(3)));
        assert_eq!(general("norm.weight"), ("norm.weight".to_string(), None));
    }
}
