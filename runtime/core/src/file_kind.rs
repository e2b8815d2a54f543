//! Recognizes files by their first bytes, so that errors can name the format of a file that cannot be read.

/// The number of bytes that [`file_kind`] needs, or all if the file has fewer.
pub const HEAD: usize = 512;

/// The content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// An image.
    Image,
    /// Audio only.
    Audio,
    /// A container for video and audio.
    Video,
    /// Something else.
    Other,
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileKind {
    /// The name with an article: `a PNG image`.
    pub name: &'static str,
    /// The content.
    pub medium: Medium,
}

use Medium::{Audio, Image, Other, Video};

/// The first bytes of each format; the first match counts.
const BEGINNINGS: [(&[u8], &str, Medium); 52] = [
    (b"\x89PNG\r\n\x1a\n", "a PNG image", Image),
    (b"\xff\xd8\xff", "a JPEG image", Image),
    (b"GIF8", "a GIF image", Image),
    (b"II*\0", "a TIFF image", Image),
    (b"MM\0*", "a TIFF image", Image),
    (b"II+\0", "a BigTIFF image", Image),
    (b"MM\0+", "a BigTIFF image", Image),
    (b"\0\0\x01\0", "an ICO image", Image),
    (b"\0\0\x02\0", "a CUR image", Image),
    (b"\xff\x0a", "a JPEG XL image", Image),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image", Image),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image", Image),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image", Image),
    (b"8BPS", "a Photoshop image", Image),
    (b"qoif", "a QOI image", Image),
    (b"DDS ", "a DDS image", Image),
    (b"\x76\x2f\x31\x01", "an OpenEXR image", Image),
    (b"#?RADIANCE", "a Radiance HDR image", Image),
    (b"gimp xcf", "a GIMP image", Image),
    (b"farbfeld", "a farbfeld image", Image),
    (b"<svg", "an SVG image", Image),
    (b"fLaC", "a FLAC file", Audio),
    (b"ID3", "an MP3 file", Audio),
    (b".snd", "an AU file", Audio),
    (b"caff", "a CAF file", Audio),
    (b"#!AMR", "an AMR file", Audio),
    (b"MThd", "a MIDI file, which has notes instead of samples", Audio),
    (b"MAC ", "a Monkey's Audio file", Audio),
    (b"wvpk", "a WavPack file", Audio),
    (b"DSD ", "a DSD file", Audio),
    (b"TTA1", "a True Audio file", Audio),
    (b"riff\x2e\x91\xcf\x11", "a Sony Wave64 file", Audio),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file", Video),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM file", Video),
    (b"FLV\x01", "a Flash video", Video),
    (b"\0\0\x01\xba", "an MPEG video", Video),
    (b"\0\0\x01\xb3", "an MPEG video", Video),
    (b"%PDF", "a PDF document", Other),
    (b"%!PS", "a PostScript document", Other),
    (b"PK\x03\x04", "a ZIP archive", Other),
    (b"\x1f\x8b", "a gzip archive", Other),
    (b"BZh", "a bzip2 archive", Other),
    (b"\xfd7zXZ", "an XZ archive", Other),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", Other),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", Other),
    (b"\x93NUMPY", "a NumPy array", Other),
    (b"version https://git-lfs", "a pointer of Git LFS instead of the file; fetch it with `git lfs pull`", Other),
    (b"<!DOCTYPE html", "an HTML page", Other),
    (b"<!doctype html", "an HTML page", Other),
    (b"<html", "an HTML page", Other),
    (b"\x7fELF", "a program", Other),
    (b"BM", "a BMP image", Image),
];
/// Brands of the ISO base media file format, for images, audio and video.
const BRANDS: [(&[u8], &str, Medium); 11] = [
    (b"avif", "an AVIF image", Image),
    (b"avis", "an AVIF image", Image),
    (b"heic", "a HEIC image", Image),
    (b"heix", "a HEIC image", Image),
    (b"heim", "a HEIC image", Image),
    (b"heis", "a HEIC image", Image),
    (b"hev", "a HEIC image", Image),
    (b"mif1", "a HEIF image", Image),
    (b"M4A", "an M4A file", Audio),
    (b"M4B", "an M4B file", Audio),
    (b"qt", "a QuickTime file", Video),
];
/// The four bytes after the size of a RIFF or IFF file.
const FORMS: [(&[u8], &[u8], &str, Medium); 10] = [
    (b"RIFF", b"WAVE", "a WAV file", Audio),
    (b"RIFX", b"WAVE", "a WAV file", Audio),
    (b"RF64", b"WAVE", "a WAV file", Audio),
    (b"BW64", b"WAVE", "a WAV file", Audio),
    (b"RIFF", b"WEBP", "a WebP image", Image),
    (b"RIFF", b"AVI ", "an AVI video", Video),
    (b"RIFF", b"ACON", "an animated cursor", Image),
    (b"FORM", b"AIFF", "an AIFF file", Audio),
    (b"FORM", b"AIFC", "an AIFF file", Audio),
    (b"FORM", b"ILBM", "an ILBM image", Image),
];

/// The format of a file that begins with these bytes ([`HEAD`] of them, or all that it has); none if it is unknown.
pub fn file_kind(head: &[u8]) -> Option<FileKind> {
    let kind = |name, medium| Some(FileKind { name, medium });
    if head.is_empty() {
        return kind("empty", Other);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if let Some((_, name, medium)) = BEGINNINGS.iter().find(|(b, ..)| head.starts_with(b) || text.starts_with(b)) {
        return kind(name, *medium);
    }
    let behind = |from: usize| head.get(from..).unwrap_or_default();
    if let Some((.., name, medium)) = FORMS.iter().find(|(a, b, ..)| head.starts_with(a) && behind(8).starts_with(b)) {
        return kind(name, *medium);
    }
    if behind(4).starts_with(b"ftyp") {
        let found = BRANDS.iter().find(|(brand, ..)| behind(8).starts_with(brand));
        return found.map_or_else(|| kind("an MP4 file", Video), |(_, name, medium)| kind(name, *medium));
    }
    if head.starts_with(b"OggS") {
        let inside = |what: &[u8]| behind(28).windows(what.len()).take(64).any(|w| w == what);
        let codecs: [(&[u8], &str); 4] = [
            (b"vorbis", "an Ogg Vorbis file"),
            (b"OpusHead", "an Ogg Opus file"),
            (b"Speex", "an Ogg Speex file"),
            (b"theora", "an Ogg Theora video"),
        ];
        let found = codecs.iter().find(|(codec, _)| inside(codec));
        return kind(found.map_or("an Ogg file", |(_, name)| name), Audio);
    }
    match head {
        [b'P', b'1'..=b'7', b' ' | b'\t' | b'\n' | b'\r', ..] => kind("a PNM image", Image),
        [0xff, second, ..] if second & 0xf6 == 0xf0 => kind("an AAC file", Audio),
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => kind("an MP3 file", Audio),
        [0x47, ..] if head.get(188) == Some(&0x47) => kind("an MPEG transport stream", Video),
        _ if text.starts_with(b"<?xml") && head.windows(4).any(|w| w == b"<svg") => kind("an SVG image", Image),
        _ if head.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~')) => kind("a text file", Other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_what_they_begin_with() {
        let name = |head: &[u8]| file_kind(head).map(|kind| kind.name);
        assert_eq!(name(b""), Some("empty"));
        assert_eq!(name(b"\0\0\0\x18ftypheic\0\0\0\0"), Some("a HEIC image"));
        assert_eq!(name(b"\0\0\0\x18ftypavif\0\0\0\0"), Some("an AVIF image"));
        assert_eq!(name(b"\0\0\0\x18ftypisom\0\0\0\0"), Some("an MP4 file"));
        assert_eq!(name(b"RIFF\0\0\0\0WAVEfmt "), Some("a WAV file"));
        assert_eq!(name(b"RIFF\0\0\0\0WEBPVP8 "), Some("a WebP image"));
        assert_eq!(name(b"P6\n2 2\n255\n"), Some("a PNM image"));
        assert_eq!(name(b"\xff\xfb\x90\x64"), Some("an MP3 file"));
        assert_eq!(name(b"\xff\xf1\x50\x80"), Some("an AAC file"));
        assert_eq!(name(b"\n <svg xmlns='x'>"), Some("an SVG image"));
        assert_eq!(name(b"<?xml version='1.0'?><svg>"), Some("an SVG image"));
        let opus = [&b"OggS"[..], &[0; 24], b"OpusHead"].concat();
        assert_eq!(name(&opus), Some("an Ogg Opus file"));
        assert_eq!(name(b"{\"error\": \"not found\"}"), Some("a text file"));
        assert_eq!(name(b"\x01\x02\x03"), None);
        assert_eq!(file_kind(b"BM\0\0").map(|kind| kind.medium), Some(Image));
    }
}
