//! Audio, and how it becomes tensors.

use gristmill_bundle::{AudioInput, Fill};

use crate::backend::Tensor;
use crate::error::Error;

pub mod wave;

/// The largest number of samples of an audio file: four and a half hours at 16 kHz.
pub const MAX_SAMPLES: u64 = 1 << 28;
/// The smallest and the largest sample rate of an audio file, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 1000..=1 << 20;
/// Added to the variance before the division, as by `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm` of transformers.
const EPSILON: f64 = 1e-7;

/// Mono audio.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    rate: u32,
    samples: Vec<f32>,
}

impl Audio {
    /// Audio of `rate` samples per second, from -1 to 1.
    ///
    /// # Errors
    /// If there are no samples or too many, or one is not finite.
    pub fn new(rate: u32, samples: Vec<f32>) -> Result<Self, Error> {
        check_length(samples.len() as u64)?;
        if rate == 0 || samples.is_empty() {
            return Err(Error::Unsupported("the audio file is empty".to_string()));
        }
        match samples.iter().position(|s| !s.is_finite()) {
            Some(at) => Err(Error::Unsupported(format!("sample {at} of the audio file is not a number"))),
            None => Ok(Audio { rate, samples }),
        }
    }

    /// The sample rate in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The samples.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// The part from sample `begin` on, with at most `most` samples.
    pub fn part(&self, begin: usize, most: usize) -> Audio {
        let rest = self.samples.get(begin..).unwrap_or_default();
        Audio { rate: self.rate, samples: rest[..rest.len().min(most)].to_vec() }
    }

    /// The middle of the audio, if it has more than `most` samples; otherwise all of it.
    pub(crate) fn middle(&self, most: usize) -> &[f32] {
        let spare = self.samples.len().saturating_sub(most);
        &self.samples[spare / 2..][..self.samples.len() - spare]
    }

    /// The tensor `[1, samples]` for a model, with at most `most` samples. Audio shorter than `least` is padded, after
    /// normalization of the audio alone.
    pub(crate) fn tensor(&self, how: &AudioInput, least: usize, most: usize) -> Result<Tensor, Error> {
        if self.rate != how.rate {
            let (found, expected) = (self.rate, how.rate);
            let message = format!("the audio file has {found} samples per second, but the model takes {expected}");
            return Err(Error::Unsupported(message));
        }
        let mut samples = self.middle(most).to_vec();
        if how.normalize {
            normalize(&mut samples);
        }
        let own = samples.len();
        let copied = match how.fill {
            Fill::Silence => own,
            Fill::Repeat => least / own * own,
            Fill::Cycle => least,
        };
        for at in own..copied.max(own) {
            samples.push(samples[at - own]);
        }
        samples.resize(samples.len().max(least), 0.0);
        Ok(Tensor::f32([1, samples.len()], samples))
    }
}

/// Checks that an audio file of this many samples is not too long, before they are in memory.
///
/// # Errors
/// [`Error::Unsupported`] if it is too long.
pub fn check_length(samples: u64) -> Result<(), Error> {
    if samples <= MAX_SAMPLES {
        return Ok(());
    }
    Err(Error::Unsupported(format!(
        "the audio file has {samples} samples; at most {MAX_SAMPLES} are supported; split it"
    )))
}

/// Checks a sample rate, before the audio is processed.
///
/// # Errors
/// [`Error::Unsupported`] if the rate is out of range.
pub fn check_rate(rate: u32) -> Result<(), Error> {
    if RATES.contains(&rate) {
        return Ok(());
    }
    let (least, most) = (RATES.start(), RATES.end());
    Err(Error::Unsupported(format!("the audio file has {rate} samples per second; {least} to {most} are supported")))
}

/// Normalizes samples to a mean of 0 and a variance of 1.
fn normalize(samples: &mut [f32]) {
    let count = samples.len() as f64;
    let mean = samples.iter().map(|s| f64::from(*s)).sum::<f64>() / count;
    let variance = samples.iter().map(|s| (f64::from(*s) - mean).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / (variance + EPSILON).sqrt();
    samples.iter_mut().for_each(|s| *s = ((f64::from(*s) - mean) * scale) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_normalised_before_silence_is_added() {
        let audio = Audio::new(8, vec![1.0, 3.0]).unwrap();
        let how = AudioInput { rate: 8, normalize: true, fill: Fill::Silence };
        let tensor = audio.tensor(&how, 4, 9).unwrap();
        assert_eq!(tensor.shape, [1, 4]);
        let values = tensor.as_f32().unwrap();
        assert!((values[0] + 1.0).abs() < 1e-6 && (values[1] - 1.0).abs() < 1e-6);
        assert_eq!(values[2..], [0.0, 0.0]);
        let filled = |fill, least, most| {
            let how = AudioInput { rate: 8, normalize: false, fill };
            audio.tensor(&how, least, most).unwrap().as_f32().unwrap().to_vec()
        };
        assert_eq!(filled(Fill::Silence, 0, 9), [1.0, 3.0]);
        assert_eq!(filled(Fill::Repeat, 5, 9), [1.0, 3.0, 1.0, 3.0, 0.0]);
        assert_eq!(filled(Fill::Cycle, 5, 9), [1.0, 3.0, 1.0, 3.0, 1.0]);
        assert_eq!(filled(Fill::Repeat, 1, 1), [1.0], "what is too long is cut at both ends");
    }

    #[test]
    fn what_is_no_audio_file_is_refused() {
        let fail = |rate, samples| Audio::new(rate, samples).unwrap_err().to_string();
        assert_eq!(fail(8, vec![]), "the audio file is empty");
        assert_eq!(fail(8, vec![0.0, f32::NAN]), "sample 1 of the audio file is not a number");
        let other = Audio::new(8, vec![0.0]).unwrap().tensor(
            &AudioInput { rate: 16, normalize: false, fill: Fill::Silence },
            0,
            9,
        );
        assert!(other.unwrap_err().to_string().contains("has 8 samples per second, but the model takes 16"));
        assert!(check_length(MAX_SAMPLES + 1).is_err());
    }

    #[test]
    fn long_audio_files_come_in_parts() {
        let audio = Audio::new(8, (0..5).map(|i| i as f32).collect()).unwrap();
        assert_eq!(audio.part(2, 2).samples(), [2.0, 3.0]);
        assert_eq!(audio.part(4, 2).samples(), [4.0]);
        assert_eq!(audio.part(9, 2).samples(), [0.0; 0]);
    }
}
