//! Timestamp tokens, and the parameters of timestamp decoding, from the generation settings.

use gristmill_bundle::{Fallback, Timestamps};
use serde_json::Value;

use super::dir::ModelDir;
use super::start::id;
use crate::error::CompileError;

/// The file with these settings.
const SETTINGS: &str = "generation_config.json";
/// The temperatures of Radford et al. 2022, section 4.5; `temperature` may be another list.
const TEMPERATURES: [f32; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
/// The thresholds of that section. (transformers has no fallback if its settings name no thresholds.) The compression
/// ratio is that of the tokens, as transformers measures it, and lower than that of the text: it tolerates a phrase
/// that is said twice but not one repeated without end.
const LOG_PROBABILITY: f32 = -1.0;
const COMPRESSION_RATIO: f32 = 2.4;
const NO_SPEECH: f32 = 0.6;
/// `median_filter_width` of `WhisperConfig`.
const MEDIAN: u32 = 7;

/// The timestamp tokens, which are `step` samples apart; `None` if no token turns timestamps off. Fails if a parameter
/// has the wrong type or is out of range.
pub(crate) fn timestamps(step: u32, dir: &ModelDir) -> Result<Option<Timestamps>, CompileError> {
    let settings = &dir.generation;
    let Some(none) = id(&settings["no_timestamps_token_id"]) else { return Ok(None) };
    let Some(end) = dir.eos_token_ids().first().copied() else { return Ok(None) };
    // If the settings do not name it: after all suppressed tokens, two from the end, where transformers finds it.
    let suppressed =
        [&settings["suppress_tokens"], &dir.config["suppress_tokens"]].into_iter().find_map(Value::as_array);
    let nameless = || suppressed.and_then(|all| id(all.get(all.len().checked_sub(2)?)?));
    Ok(Some(Timestamps {
        step,
        first: none + 1,
        none,
        end,
        // As in transformers: the tokens are in this order.
        no_speech: none.saturating_sub(1),
        previous: id(&settings["prev_sot_token_id"]).or_else(nameless).filter(|token| *token < none),
        max_initial: id(&settings["max_initial_timestamp_index"]),
        median: id(&dir.config["median_filter_width"]).unwrap_or(MEDIAN),
        fallback: Fallback {
            temperatures: temperatures(&settings["temperature"])?,
            log_probability: number(settings, "logprob_threshold", LOG_PROBABILITY)?,
            compression_ratio: number(settings, "compression_ratio_threshold", COMPRESSION_RATIO)?,
            no_speech: number(settings, "no_speech_threshold", NO_SPEECH)?,
            previous_text: settings["condition_on_prev_tokens"].as_bool().unwrap_or(false),
        },
    }))
}

/// A list of temperatures. A single number is the sampling temperature, which callers choose.
fn temperatures(value: &Value) -> Result<Vec<f32>, CompileError> {
    let Some(all) = value.as_array() else { return Ok(TEMPERATURES.to_vec()) };
    let one = |value: &Value| value.as_f64().filter(|t| *t >= 0.0).map(|t| t as f32);
    let all: Option<Vec<f32>> = all.iter().map(one).collect();
    all.filter(|all| !all.is_empty()).ok_or_else(|| fault("temperature", "a list of numbers of at least 0", value))
}

fn number(settings: &Value, key: &str, usual: f32) -> Result<f32, CompileError> {
    match &settings[key] {
        Value::Null => Ok(usual),
        value => value.as_f64().map(|v| v as f32).ok_or_else(|| fault(key, "a number", value)),
    }
}

fn fault(key: &str, expected: &str, found: &Value) -> CompileError {
    CompileError::Config(format!("{SETTINGS}: {key}: expected {expected}, found {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dir(generation: &Value) -> (tempfile::TempDir, ModelDir) {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("config.json"), r#"{"eos_token_id": 7}"#).unwrap();
        std::fs::write(place.path().join("generation_config.json"), generation.to_string()).unwrap();
        let dir = ModelDir::open(place.path()).unwrap();
        (place, dir)
    }

    #[test]
    fn what_settings_do_not_name_is_as_published() {
        let suppressed = json!([1, 2, 50, 51, 52]);
        let found = dir(&json!({"no_timestamps_token_id": 90, "suppress_tokens": suppressed}));
        let found = timestamps(320, &found.1).unwrap().unwrap();
        assert_eq!((found.first, found.none, found.no_speech, found.end), (91, 90, 89, 7));
        assert_eq!((found.previous, found.max_initial, found.median), (Some(51), None, 7));
        assert_eq!(found.fallback.temperatures.len(), 6);
        assert!(!found.fallback.previous_text);
        assert_eq!(timestamps(320, &dir(&json!({})).1).unwrap(), None);
    }

    #[test]
    fn settings_are_honoured_or_refused_by_name() {
        let own = json!({
            "no_timestamps_token_id": 90, "prev_sot_token_id": 40, "max_initial_timestamp_index": 50,
            "temperature": [0.0, 0.5], "logprob_threshold": -2, "no_speech_threshold": 0.25,
            "compression_ratio_threshold": 1.35, "condition_on_prev_tokens": true,
        });
        let found = timestamps(320, &dir(&own).1).unwrap().unwrap();
        assert_eq!((found.previous, found.max_initial), (Some(40), Some(50)));
        let expected = Fallback {
            temperatures: vec![0.0, 0.5],
            log_probability: -2.0,
            compression_ratio: 1.35,
            no_speech: 0.25,
            previous_text: true,
        };
        assert_eq!(found.fallback, expected);
        let wrong = json!({"no_timestamps_token_id": 90, "no_speech_threshold": "high"});
        let message = timestamps(320, &dir(&wrong).1).unwrap_err().to_string();
        assert!(message.contains("generation_config.json: no_speech_threshold: expected a number"), "{message}");
    }
}
