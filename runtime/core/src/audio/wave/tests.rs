use super::*;
use serde_json::Value;

/// Files and what libsndfile reads in them: `tests/fixtures/waves/make.py`.
fn cases() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/waves/cases.json");
    serde_json::from_slice(&std::fs::read(path).expect("the cases")).expect("they are JSON")
}

fn bytes(case: &Value) -> Vec<u8> {
    let text = case["file"].as_str().expect("a file");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
}

#[test]
fn samples_are_those_of_libsndfile() {
    let cases = cases();
    assert!(cases.len() > 30, "{} cases", cases.len());
    for case in &cases {
        let name = case["name"].as_str().expect("a name");
        let found = read(&mut bytes(case).as_slice());
        if let Some(fault) = case["fault"].as_str() {
            let found = found.map(|w| w.samples.len()).unwrap_err();
            assert!(found.contains(fault), "{name}: {found}");
            continue;
        }
        let found = found.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(u64::from(found.rate), case["rate"].as_u64().expect("a rate"), "{name}");
        let expected: Vec<f32> = serde_json::from_value(case["samples"].clone()).expect("samples");
        assert_eq!(found.samples, expected, "{name}");
        assert_eq!(found.warning.is_some(), case["warns"] == true, "{name}: {:?}", found.warning);
    }
}

/// Nothing panics, and nothing takes more memory than the file has samples for, whichever bytes are changed or left out.
#[test]
fn hostile_files_are_read_or_refused() {
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut good, mut bad) = (0, 0);
    for case in &cases() {
        let file = bytes(case);
        for round in 0..400 {
            let mut file = file.clone();
            for _ in 0..=round % 4 {
                let at = random(file.len().min(120));
                file[at] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
            }
            file.truncate(file.len() - if round % 3 == 0 { random(file.len()) } else { 0 });
            match read(&mut file.as_slice()) {
                Ok(wave) => {
                    good += 1;
                    assert!(wave.samples.len() <= file.len());
                }
                Err(_) => bad += 1,
            }
        }
    }
    assert!(good > 1000 && bad > 1000, "{good} read, {bad} refused");
}

#[test]
fn absurd_headers_are_refused_before_anything_is_read() {
    let wave = |rate: u32, channels: u16, bits: u16| {
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0".to_vec();
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend([0; 4]);
        file.extend((bits / 8).wrapping_mul(channels).to_le_bytes());
        file.extend(bits.to_le_bytes());
        file.extend(b"data\xff\xff\xff\xff");
        // Endless samples: nothing may be read of them.
        let mut source = std::io::Cursor::new(file).chain(std::io::repeat(0));
        read(&mut source).map(|w| w.samples.len()).unwrap_err()
    };
    assert!(wave(0, 1, 16).contains("0 samples per second"));
    assert!(wave(1, 1, 16).contains("1 samples per second"));
    assert!(wave(u32::MAX, 1, 16).contains("4294967295 samples per second"));
    assert!(wave(16000, 0, 16).contains("0 channels"));
    assert!(wave(16000, 65535, 16).contains("65535 channels"));
    assert!(wave(16000, 1, 64).contains("whole numbers of 64 bits"));
    let endless = &mut b"RIFF\0\0\0\0WAVE".chain(std::io::repeat(0));
    let fault = read(endless).unwrap_err();
    assert!(fault.contains("more than 1024 chunks"), "{fault}");
}
