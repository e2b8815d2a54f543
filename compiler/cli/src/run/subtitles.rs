//! Prints transcripts with times: as plain lines, and as subtitles.

use gristmill_runtime::transcribe::Segment;

use crate::args::SpeechFormat;

/// Writes segments or, where segments have them, words.
#[derive(Debug)]
pub(super) struct Subtitles {
    form: Form,
    count: usize,
}

/// The notation of a time and a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lines,
    Srt,
    Vtt,
}

impl Subtitles {
    /// `None` for formats that cannot be written segment by segment.
    pub(super) fn new(format: SpeechFormat) -> Option<Self> {
        let form = match format {
            SpeechFormat::Txt => Form::Lines,
            SpeechFormat::Srt => Form::Srt,
            SpeechFormat::Vtt => Form::Vtt,
            SpeechFormat::Json => return None,
        };
        Some(Subtitles { form, count: 0 })
    }

    /// The header of the file.
    pub(super) fn head(&self) -> &'static str {
        match self.form {
            Form::Lines | Form::Srt => "",
            Form::Vtt => "WEBVTT\n\n",
        }
    }

    /// The text of the next segment.
    pub(super) fn segment(&mut self, segment: &Segment) -> String {
        match segment.words.as_slice() {
            [] => self.cue(segment.start, segment.end, &segment.text),
            words => words.iter().map(|word| self.cue(word.start, word.end, &word.text)).collect(),
        }
    }

    fn cue(&mut self, start: f64, end: f64, text: &str) -> String {
        self.count += 1;
        let (start, end) = (self.time(start), self.time(end));
        // An empty line would end a cue, and an arrow would be read as a timing line.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("-->", "->");
        match self.form {
            Form::Lines => format!("[{start} --> {end}] {text}\n"),
            Form::Srt => format!("{}\n{start} --> {end}\n{text}\n\n", self.count),
            Form::Vtt => {
                let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                format!("{start} --> {end}\n{text}\n\n")
            }
        }
    }

    fn time(&self, seconds: f64) -> String {
        let all = (seconds * 1000.0).round() as u64;
        let (hours, minutes, seconds, rest) = (all / 3_600_000, all / 60_000 % 60, all / 1000 % 60, all % 1000);
        match self.form {
            Form::Lines if hours == 0 => format!("{minutes:02}:{seconds:02}.{rest:03}"),
            Form::Lines | Form::Vtt => format!("{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"),
            Form::Srt => format!("{hours:02}:{minutes:02}:{seconds:02},{rest:03}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use gristmill_runtime::transcribe::Word;

    use super::*;

    fn written(format: SpeechFormat, words: bool) -> String {
        let word = |start, end, text: &str| Word { start, end, text: text.to_string() };
        let words = if words { vec![word(0.0, 0.5, " One"), word(0.5, 2.0, " <two>.")] } else { vec![] };
        let first = Segment { start: 0.0, end: 2.0, text: "One\n\n <two>.".into(), tokens: vec![], words };
        let last = Segment { start: 3661.5, end: 3662.0, text: "Three --> four".into(), tokens: vec![], words: vec![] };
        let mut subtitles = Subtitles::new(format).unwrap();
        format!("{}{}{}", subtitles.head(), subtitles.segment(&first), subtitles.segment(&last))
    }

    #[test]
    fn formats_are_those_of_players() {
        let lines = "[00:00.000 --> 00:02.000] One <two>.\n[01:01:01.500 --> 01:01:02.000] Three -> four\n";
        assert_eq!(written(SpeechFormat::Txt, false), lines);
        let srt = "1\n00:00:00,000 --> 00:00:02,000\nOne <two>.\n\n2\n01:01:01,500 --> 01:01:02,000\nThree -> four\n\n";
        assert_eq!(written(SpeechFormat::Srt, false), srt);
        let vtt = "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nOne\n\n00:00:00.500 --> 00:00:02.000\n&lt;two&gt;.\n\n";
        assert!(written(SpeechFormat::Vtt, true).starts_with(vtt));
    }
}
