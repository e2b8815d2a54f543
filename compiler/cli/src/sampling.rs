//! Sampling options: the model's own settings, overridden by the command line.

use gristmill_bundle::Bundle;
use gristmill_runtime::generate::Options;
use gristmill_runtime::sample::Sampling;
use serde_json::Value;

use crate::args::SamplingFlags;
use crate::failure::{Failure, Outcome};

/// The file with the settings in a Hugging Face directory.
const FILE: &str = "generation_config.json";
/// The default number of new tokens, if neither the model nor the caller sets one.
pub(crate) const DEFAULT_NEW_TOKENS: u32 = 256;

/// Reads the model's settings from the bundle, if it has any, and applies the flags. `tokens` is the default number of
/// new tokens.
pub(crate) fn choose(bundle: &Bundle, flags: &SamplingFlags, tokens: u32) -> Outcome<Options> {
    let config = if bundle.has(FILE) {
        let text = bundle.read_text(FILE)?;
        serde_json::from_str(&text).map_err(|e| Failure::wrong(format!("{FILE}: {e}")))?
    } else {
        Value::Null
    };
    if let Some(Some(n)) = flags.greedy {
        return Err(Failure::wrong(format!(
            "--greedy takes a number in tensor mode (--inputs) only; use --greedy --max-new-tokens {n}"
        )));
    }
    merge(&config, flags, tokens).map_err(Failure::wrong)
}

/// Flags take precedence over the config. A flag that only affects sampling enables sampling.
fn merge(config: &Value, flags: &SamplingFlags, tokens: u32) -> Result<Options, String> {
    let asked = flags.temperature.is_some()
        || flags.top_k.is_some()
        || flags.top_p.is_some()
        || flags.min_p.is_some()
        || flags.seed.is_some();
    let configured = config["do_sample"].as_bool().unwrap_or(false);
    let number = |flag: Option<f32>, key: &str, default: f32| match (flag, &config[key]) {
        (Some(flag), _) => Ok(flag),
        (None, Value::Null) => Ok(default),
        (None, own) => own
            .as_f64()
            .map(|v| v as f32)
            .ok_or_else(|| format!("{FILE}: {key}: expected a finite number, found {own}")),
    };
    let whole = |flag: Option<u32>, key: &str| flag.or_else(|| config[key].as_u64().and_then(|v| v.try_into().ok()));
    let mut sampling = Sampling {
        repetition_penalty: number(flags.repetition_penalty, "repetition_penalty", 1.0)?,
        temperature: number(flags.temperature, "temperature", 1.0)?,
        top_k: whole(flags.top_k, "top_k").unwrap_or(0),
        top_p: number(flags.top_p, "top_p", 1.0)?,
        min_p: number(flags.min_p, "min_p", 0.0)?,
        seed: flags.seed.unwrap_or_else(any_seed),
    };
    if flags.greedy.is_some() || !(asked || configured) {
        sampling.temperature = 0.0;
    }
    if flags.stop.iter().any(String::is_empty) {
        return Err("--stop: expected a text, found an empty one".to_string());
    }
    if let Some(fault) = sampling.fault() {
        return Err(fault);
    }
    let max_new_tokens = whole(flags.max_new_tokens, "max_new_tokens").unwrap_or(tokens);
    Ok(Options { sampling, max_new_tokens, ..Options::default() })
}

/// A random seed, from the randomness that the standard library uses for its hash tables.
fn any_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // Short enough to retype.
    std::hash::RandomState::new().build_hasher().finish() >> 40
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flags() -> SamplingFlags {
        SamplingFlags::default()
    }

    #[test]
    fn greedy_unless_the_model_or_the_caller_samples() {
        let sampling = |config: &Value, flags: &SamplingFlags| merge(config, flags, 9).unwrap().sampling;
        assert!(sampling(&Value::Null, &flags()).is_greedy());
        let config = json!({ "do_sample": false, "temperature": 0.6, "top_p": 0.9 });
        assert!(sampling(&config, &flags()).is_greedy());
        let config = json!({ "do_sample": true, "temperature": 0.6, "top_k": 20, "max_new_tokens": 7 });
        assert_eq!(merge(&config, &flags(), 9).unwrap().max_new_tokens, 7);
        assert_eq!((sampling(&config, &flags()).temperature, sampling(&config, &flags()).top_k), (0.6, 20));
        let asked = SamplingFlags { seed: Some(5), ..flags() };
        assert_eq!(sampling(&Value::Null, &asked).temperature, 1.0);
        let greedy = SamplingFlags { greedy: Some(None), ..flags() };
        assert!(sampling(&config, &greedy).is_greedy());
    }

    #[test]
    fn wrong_values_are_named() {
        let wrong = |flags: SamplingFlags| merge(&Value::Null, &flags, 9).unwrap_err();
        assert!(wrong(SamplingFlags { top_p: Some(0.0), ..flags() }).contains("top-p"));
        assert!(wrong(SamplingFlags { temperature: Some(f32::NAN), ..flags() }).contains("temperature"));
        assert!(wrong(SamplingFlags { repetition_penalty: Some(0.0), ..flags() }).contains("repetition penalty"));
        let config = json!({ "temperature": { "__float__": "Infinity" } });
        let own = merge(&config, &flags(), 9).unwrap_err();
        assert!(own.starts_with("generation_config.json: temperature: expected a finite number"), "{own}");
        assert!(wrong(SamplingFlags { stop: vec![String::new()], ..flags() }).contains("--stop"));
    }
}
