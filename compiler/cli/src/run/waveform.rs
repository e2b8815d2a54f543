//! Reads audio files.

use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

use gristmill_runtime::audio::{Audio, check_length, check_rate, wave};
use gristmill_runtime::file_kind::{HEAD, Medium, file_kind};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler, SincInterpolationParameters};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::meta::MetadataOptions;

use crate::failure::{Failure, Outcome};
use crate::output::note;

/// Samples per chunk of resampling.
const CHUNK: usize = 4096;

/// Reads an audio file or a pipe, and mixes all channels to one.
pub(crate) fn read(path: &Path) -> Outcome<Audio> {
    let place = |fault: String| Failure::wrong(format!("{}: {fault}", path.display()));
    let mut file = File::open(path).map_err(|e| Failure::io(path, &e))?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|e| Failure::io(path, &e))?;
    if wave::is_wave(&head) {
        let mut whole = Cursor::new(head).chain(file);
        let read = wave::read(&mut whole).map_err(place)?;
        if let Some(warning) = read.warning {
            note(&format!("warning: {}: {warning}", path.display()));
        }
        return Audio::new(read.rate, read.samples).map_err(|e| place(e.to_string()));
    }
    // A pipe cannot be rewound.
    let source: Box<dyn MediaSource> = match file.rewind() {
        Ok(()) => Box::new(file),
        Err(_) => Box::new(ReadOnlySource::new(Cursor::new(head.clone()).chain(file))),
    };
    decode(source, &head).map_err(place)
}

/// The error for a file that starts with these bytes, if no decoder recognizes it.
fn unknown(head: &[u8]) -> String {
    const EXPECTED: &str = "expected a WAV, FLAC, MP3, Ogg Vorbis or AAC file";
    match file_kind(head) {
        None => format!("not an audio file; {EXPECTED}"),
        Some(kind) if matches!(kind.medium, Medium::Audio | Medium::Video) => {
            format!("this is {}, which is not supported; convert it to WAV or FLAC", kind.name)
        }
        Some(kind) => format!("not an audio file: this is {}; {EXPECTED}", kind.name),
    }
}

/// Decodes a file that is not a WAV file.
fn decode(source: Box<dyn MediaSource>, head: &[u8]) -> Result<Audio, String> {
    let stream = MediaSourceStream::new(source, Default::default());
    let probe = symphonia::default::get_probe();
    let mut format = probe
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|_| unknown(head))?;
    let kind = file_kind(head).map_or("a file", |kind| kind.name);
    let silent = || format!("this is {kind} without audio");
    let track = format.default_track(TrackType::Audio).ok_or_else(silent)?;
    let parameters = track.codec_params.as_ref().and_then(|p| p.audio());
    let parameters = parameters.ok_or_else(|| format!("this is {kind} that does not say how its audio is stored"))?;
    let fault = |e: DecodeError| format!("the audio file cannot be decoded: {e}");
    let codecs = symphonia::default::get_codecs();
    let mut decoder = codecs
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|e| format!("this is {kind} whose audio cannot be decoded ({e}); convert it to WAV or FLAC"))?;
    let id = track.id;
    let (mut samples, mut rate, mut buffer) = (Vec::new(), 0, Vec::new());
    while let Some(packet) = format.next_packet().map_err(fault)? {
        if packet.track_id != id {
            continue;
        }
        let decoded = match decoder.decode(&packet) {
            Ok(decoded) => decoded,
            // Broken packets are skipped, as by players.
            Err(DecodeError::DecodeError(_)) => continue,
            Err(e) => return Err(fault(e)),
        };
        let (channels, found) = (decoded.spec().channels().count(), decoded.spec().rate());
        if rate != 0 && rate != found {
            return Err(format!("its rate changes from {rate} to {found} samples per second"));
        }
        rate = found;
        check_rate(rate).map_err(|e| e.to_string())?;
        buffer.clear();
        decoded.copy_to_vec_interleaved::<f32>(&mut buffer);
        samples.extend(buffer.chunks_exact(channels.max(1)).map(|all| all.iter().sum::<f32>() / channels as f32));
        check_length(samples.len() as u64).map_err(|e| e.to_string())?;
    }
    Audio::new(rate, samples).map_err(|e| e.to_string())
}

/// Resamples audio to `rate` samples per second.
pub(crate) fn at_rate(audio: Audio, rate: u32) -> Outcome<Audio> {
    if audio.rate() == rate {
        return Ok(audio);
    }
    let fault =
        |e: String| Failure::wrong(format!("the audio file cannot be resampled to {rate} samples per second: {e}"));
    let count = audio.samples().len();
    check_length((count as u64 * u64::from(rate)).div_ceil(u64::from(audio.rate())))?;
    let ratio = f64::from(rate) / f64::from(audio.rate());
    let parameters = SincInterpolationParameters::default();
    let resampler = Async::<f32>::new_sinc(ratio, 1.0, &parameters, CHUNK, 1, FixedAsync::Input);
    let mut resampler = resampler.map_err(|e| fault(e.to_string()))?;
    let input = InterleavedSlice::new(audio.samples(), 1, count).map_err(|e| fault(e.to_string()))?;
    let output = resampler.process_all(&input, count, None).map_err(|e| fault(e.to_string()))?;
    Ok(Audio::new(rate, output.take_data())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_keeps_its_pitch_and_its_length() {
        let tone = |rate: u32, n: u32| -> Vec<f32> {
            (0..n).map(|i| (std::f64::consts::TAU * 440.0 * f64::from(i) / f64::from(rate)).sin() as f32).collect()
        };
        let slow = at_rate(Audio::new(44100, tone(44100, 22050)).unwrap(), 16000).unwrap();
        assert_eq!((slow.rate(), slow.samples().len()), (16000, 8000));
        // The ends lack their neighbours. In between is a tone of the same pitch, shifted by less than a sample.
        let step = std::f64::consts::TAU * 440.0 / 16000.0;
        let inside: Vec<(f64, f64)> =
            (400..7600).map(|i| (f64::from(i) * step, f64::from(slow.samples()[i as usize]))).collect();
        let part = |f: fn(f64) -> f64| 2.0 * inside.iter().map(|(t, x)| f(*t) * x).sum::<f64>() / inside.len() as f64;
        let (sine, cosine) = (part(f64::sin), part(f64::cos));
        let rest = inside.iter().map(|(t, x)| (x - sine * t.sin() - cosine * t.cos()).abs()).fold(0.0, f64::max);
        assert!(rest < 1e-3 && cosine.atan2(sine).abs() < step, "{rest} beside {sine} and {cosine}");
    }
}
