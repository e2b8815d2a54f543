use proptest::prelude::*;

use super::*;

/// Numbers that look random but are a function of the seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }
}

fn spec(name: &str) -> QuantSpec {
    name.parse().unwrap()
}

/// A weight before packing, with every value computed from the formula, and its packed bytes.
fn packed(rows: usize, columns: usize, spec: QuantSpec, seed: u64) -> (Vec<f32>, Vec<u8>) {
    let layout = QuantLayout::new(rows as u64, columns as u64, spec).unwrap();
    let mut noise = Noise(seed);
    let mut values = Vec::new();
    let mut bytes = vec![0; layout.bytes as usize];
    let (format, group) = (spec.format(), usize::from(spec.group()));
    for t in 0..layout.tiles {
        let mut tile = Tile::zeros(&layout);
        for r in 0..TILE.min(rows - t * TILE) {
            let (rs, rm) = (f16::from_f32(noise.next() as f32 * 1e-9), f16::from_f32(noise.next() as f32 * -1e-9));
            (tile.scales[r], tile.minima[r]) = (rs, rm);
            let per = layout.header_bytes();
            let headers = &mut tile.headers[r * per..][..columns.div_ceil(group) * format.header.bytes()];
            headers.fill_with(|| noise.next() as u8);
            if format.header == Header::BlockScale {
                // Halves that are finite.
                headers.iter_mut().skip(1).step_by(2).for_each(|b| *b &= 0xbb);
            }
            for k in 0..columns {
                let code = (noise.next() % format.levels()) as u8;
                tile.codes[r * layout.padded_columns() + k] = code;
                let header = &headers[k / group * format.header.bytes()..];
                let value = match format.header {
                    Header::BlockScale => {
                        f16::from_le_bytes([header[0], header[1]]).to_f32() * format.value(code, false) as f32
                    }
                    Header::ScaleAndShift => {
                        let (scale, shift) = ((header[0] as i8).div_euclid(2), header[0] % 2);
                        rs.to_f32() * f32::from(scale) * format.value(code, shift == 1) as f32
                    }
                    Header::ScaleAndMinimum => {
                        let (scale, minimum) = (f32::from(header[0]), f32::from(header[1] as i8));
                        rs.to_f32() * scale * f32::from(code) + rm.to_f32() * minimum
                    }
                };
                values.push(value);
            }
        }
        pack_tile(&layout, &tile).write_to(&layout, t, &mut bytes);
    }
    (values, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn packing_is_the_inverse_of_decoding(
        rows in 1usize..70, columns in 1usize..300, spec in prop::sample::select(QuantSpec::all().collect::<Vec<_>>()),
        seed: u64,
    ) {
        let (values, bytes) = packed(rows, columns, spec, seed);
        let decoded = decode(&bytes, rows as u64, columns as u64, spec).unwrap();
        prop_assert_eq!(decoded, values);
    }
}

#[test]
fn bit_positions() {
    assert_eq!(spread(&[1, 2, 3, 0, 2], 0, 2), 0x0003_0201 | 2 << 2);
    assert_eq!(spread(&[0, 0, 0, 0, 0, 0, 0, 15], 0, 4), 0xF000_0000);
    assert_eq!(spread(&[0xFF, 0x80, 1, 2], 0, 8), 0x0201_80FF);
    assert_eq!(spread(&[4, 3, 0, 0, 0, 7], 2, 1), 1 | 1 << 9);
    assert_eq!(symmetric_header(-64, true), 0x81);
    assert_eq!((symmetric_header(-3, true) as i8) >> 1, -3);
}

#[test]
fn places_of_planes() {
    // 129 columns: two vectors of two bits and one of one bit, then a quad of each; five headers, one more than a word.
    let layout = QuantLayout::new(33, 129, spec("q3")).unwrap();
    assert_eq!((layout.tiles, layout.padded_columns(), layout.header_bytes()), (2, 132, 5));
    assert_eq!(layout.codes, Plane { offset: 0, tile_bytes: 2 * 512 + 2 * 16 });
    assert_eq!(layout.high, Plane { offset: 2112, tile_bytes: 512 + 16 });
    assert_eq!(layout.headers, Plane { offset: 3168, tile_bytes: 128 + 32 });
    assert_eq!(layout.scales, Plane { offset: 3488, tile_bytes: 64 });
    assert_eq!(layout.bytes, 3616);
    let dense = QuantLayout::new(4096, 4096, spec("q2")).unwrap();
    assert!((dense.bits_per_weight() - (2.0 + 0.25 + 16.0 / 4096.0)).abs() < 1e-9);
    for spec in QuantSpec::all() {
        let layout = QuantLayout::new(7, 500, spec).unwrap();
        for plane in [layout.codes, layout.high, layout.headers, layout.scales] {
            assert_eq!(plane.offset % ALIGN, 0);
        }
        assert_eq!(layout.bytes % ALIGN, 0);
    }
}

#[test]
fn rows_cost_what_the_format_says() {
    for columns in [172u64, 576, 1000] {
        for spec in QuantSpec::all() {
            let Format { header, .. } = spec.format();
            let factors = 16.0 * header.row_factors() as f64 / columns as f64;
            let stored = QuantLayout::new(64, columns, spec).unwrap().bits_per_weight();
            // A block that the end of a row cuts has a whole header.
            let blocks = columns.div_ceil(u64::from(spec.group())) as f64;
            let exact =
                f64::from(spec.format().bits()) + 8.0 * header.bytes() as f64 * blocks / columns as f64 + factors;
            assert!((stored - exact).abs() < 1e-9, "{spec} of {columns} columns: {stored} bits, not {exact}");
            let nominal = spec.nominal_bits() + factors;
            // Headers of two bytes in small blocks weigh more than that.
            if spec.group() <= 32 && header.bytes() == 1 {
                assert!(stored < 1.02 * nominal, "{spec} of {columns} columns: {stored} bits, not {nominal}");
            }
        }
    }
}

#[test]
fn hostile_sizes_are_errors() {
    let spec = spec("q4.asym");
    assert!(QuantLayout::new(u64::MAX, 1, spec).unwrap_err().contains("too large"));
    assert!(QuantLayout::new(1 << 40, 1 << 40, spec).unwrap_err().contains("too large"));
    assert!(QuantLayout::new(0, 4, spec).unwrap_err().contains("needs rows"));
    assert!(decode(&[0; 8], 4, 4, spec).unwrap_err().contains("found 8"));
    assert!(stored_bytes(Precision::F32, &[u64::MAX, 2]).is_err());
    assert!(stored_bytes(Precision::Quant(spec), &[4]).unwrap_err().contains("only matrices"));
    assert!(decode_stored(Precision::F16, &[0, u64::MAX, u64::MAX], &[]).is_ok_and(|v| v.is_empty()));
}

#[test]
fn floats() {
    assert_eq!(stored_bytes(Precision::F16, &[3, 3]), Ok(32));
    let mut bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    bytes.resize(16, 0);
    assert_eq!(decode_stored(Precision::F32, &[2], &bytes), Ok(vec![1.5, -2.0]));
    let mut bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
    bytes.resize(16, 0);
    assert_eq!(decode_stored(Precision::F16, &[2], &bytes), Ok(vec![1.5, -2.0]));
}
