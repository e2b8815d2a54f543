//! Convolution and pooling are blocks over one primitive. On all devices they equal their definitions, for strides,
//! paddings, dilations and groups, and for image sizes that are only known at run time.

use std::collections::BTreeMap;

use gristmill_compiler::CompileOptions;
use gristmill_runtime::{Data, Tensor};
use gristmill_tests::models::{Checkpointed, ModelFiles, Numbers};
use gristmill_tests::twins::{Task, Twins};
use serde_json::json;

const ARCHITECTURE: &str = r#"
Architecture(
    doc: "One convolution or pooling per output.",
    classes: ["Images"],
    config: [],
    symbols: {"B": "1, 4", "H": "9, 64", "W": "9, 64", "T": "9, 100"},
    inputs: {
        "image": (dtype: F32, shape: "B, H, W, 8"),
        "audio": (dtype: F32, shape: "B, T, 8"),
    },
    weights: {
        "square": (tensor: "square", shape: "12, 8, 3, 3"),
        "bias": (tensor: "bias", shape: "12"),
        "wide": (tensor: "wide", shape: "5, 8, 2, 4"),
        "point": (tensor: "point", shape: "16, 8, 1, 1"),
        "parts": (tensor: "parts", shape: "12, 4, 3, 3"),
        "each": (tensor: "each", shape: "8, 1, 3, 3"),
        "line": (tensor: "line", shape: "6, 8, 5"),
        "line_each": (tensor: "line_each", shape: "8, 1, 4"),
    },
    body: [
        Tap("image", "image"),
        Output("square", "conv2d(image, square, bias, stride: 2, padding: 1)"),
        Output("wide", "conv2d(image, wide, stride: 2, stride_x: 4)"),
        Output("point", "conv2d(image, point)"),
        Output("point_stride", "relu(conv2d(image, point, stride: 2))"),
        Output("dilated", "conv2d(image, square, padding: 2, padding_x: 3, dilation: 2)"),
        Output("parts", "conv2d(image, parts, bias, stride: 2, padding: 1, groups: 2)"),
        Output("each", "conv2d(image, each, bias[:8], padding: 1, groups: 8)"),
        Output("line", "conv1d(audio, line, stride: 3, padding: 2)"),
        Output("line_each", "conv1d(audio, line_each, dilation: 2, groups: 8)"),
        Output("highest", "max_pool2d(image, 3, stride: 2, padding: 1)"),
        Output("average", "average_pool2d(image, 2)"),
        Output("overall", "global_average2d(image)"),
        Output("twice", "conv2d(relu(conv2d(image, each, stride: 2, padding: 1, groups: 8)), square, padding: 1)"),
    ],
    entries: {"forward": (
        outputs: ["square", "wide", "point", "point_stride", "dilated", "parts", "each", "line", "line_each", "highest",
            "average", "overall", "twice"],
        role: Tensors,
    )},
)
"#;

/// A convolution, computed by its definition.
struct Convolution {
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: usize,
    groups: usize,
}

const PLAIN: Convolution = Convolution { stride: [1, 1], padding: [0, 0], dilation: 1, groups: 1 };

/// A tensor `[batch, height, width, channels]`.
#[derive(Clone)]
struct Image {
    shape: [usize; 4],
    data: Vec<f32>,
}

impl Image {
    fn at(&self, b: usize, y: usize, x: usize, c: usize) -> f32 {
        self.data[((b * self.shape[1] + y) * self.shape[2] + x) * self.shape[3] + c]
    }

    /// The element at a position that may be in the padding.
    fn padded(&self, b: usize, y: usize, x: usize, c: usize, padding: [usize; 2]) -> Option<f32> {
        let y = y.checked_sub(padding[0]).filter(|y| *y < self.shape[1])?;
        let x = x.checked_sub(padding[1]).filter(|x| *x < self.shape[2])?;
        Some(self.at(b, y, x, c))
    }

    /// An image with the values `f(batch, row, column, channel)`.
    fn new(shape: [usize; 4], f: impl Fn(usize, usize, usize, usize) -> f32) -> Image {
        let mut data = Vec::new();
        for b in 0..shape[0] {
            for y in 0..shape[1] {
                for x in 0..shape[2] {
                    data.extend((0..shape[3]).map(|c| f(b, y, x, c)));
                }
            }
        }
        Image { shape, data }
    }
}

impl Convolution {
    fn of(&self, x: &Image, filters: &Checkpointed, bias: &[f32]) -> Image {
        let [out, inner, height, width] = match *filters.shape.as_slice() {
            [o, i, h, w] => [o, i, h, w],
            [o, i, w] => [o, i, 1, w],
            _ => panic!("filters"),
        };
        let length = |n: usize, p: usize, k: usize, s: usize| (n + 2 * p - self.dilation * (k - 1) - 1) / s + 1;
        let rows = length(x.shape[1], self.padding[0], height, self.stride[0]);
        let columns = length(x.shape[2], self.padding[1], width, self.stride[1]);
        Image::new([x.shape[0], rows, columns, out], |b, y, column, o| {
            let first = o / (out / self.groups) * inner;
            let mut sum = f64::from(bias.get(o).copied().unwrap_or(0.0));
            for i in 0..inner {
                for dy in 0..height {
                    for dx in 0..width {
                        let place =
                            [y * self.stride[0] + dy * self.dilation, column * self.stride[1] + dx * self.dilation];
                        let seen = x.padded(b, place[0], place[1], first + i, self.padding).unwrap_or(0.0);
                        let factor = filters.data[((o * inner + i) * height + dy) * width + dx];
                        sum += f64::from(seen) * f64::from(factor);
                    }
                }
            }
            sum as f32
        })
    }
}

/// Applies `fold` to the elements of each window; padding is `None`.
fn pool(x: &Image, size: usize, stride: usize, padding: usize, fold: impl Fn(&[Option<f32>]) -> f32) -> Image {
    let length = |n: usize| (n + 2 * padding - size) / stride + 1;
    Image::new([x.shape[0], length(x.shape[1]), length(x.shape[2]), x.shape[3]], |b, y, column, c| {
        let place = |i: usize| (y * stride + i / size, column * stride + i % size);
        let seen = (0..size * size).map(place).map(|(y, column)| x.padded(b, y, column, c, [padding; 2]));
        fold(&seen.collect::<Vec<_>>())
    })
}

fn files() -> ModelFiles {
    let mut numbers = Numbers::new(3);
    let mut tensor = |name: &str, shape: &[usize]| {
        let data = (0..shape.iter().product()).map(|_| numbers.uniform()).collect();
        Checkpointed { name: name.to_string(), shape: shape.to_vec(), data }
    };
    let tensors = vec![
        tensor("square", &[12, 8, 3, 3]),
        tensor("bias", &[12]),
        tensor("wide", &[5, 8, 2, 4]),
        tensor("point", &[16, 8, 1, 1]),
        tensor("parts", &[12, 4, 3, 3]),
        tensor("each", &[8, 1, 3, 3]),
        tensor("line", &[6, 8, 5]),
        tensor("line_each", &[8, 1, 4]),
    ];
    ModelFiles { config: json!({"architectures": ["Images"]}), tensors }
}

/// All outputs, computed by their definitions.
fn expected(files: &ModelFiles, image: &Image, audio: &Image) -> BTreeMap<&'static str, Image> {
    let w = |name: &str| files.tensors.iter().find(|t| t.name == name).expect("a weight");
    let bias = &w("bias").data;
    let two = Convolution { stride: [2, 2], padding: [1, 1], ..PLAIN };
    let relu = |p: Image| Image { data: p.data.iter().map(|v| v.max(0.0)).collect(), ..p };
    let eight = Convolution { padding: [1, 1], groups: 8, ..PLAIN };
    let halved = relu(Convolution { groups: 8, ..two }.of(image, w("each"), &[]));
    let two = Convolution { stride: [2, 2], padding: [1, 1], ..PLAIN };
    let mean = |seen: &[Option<f32>]| seen.iter().map(|v| v.unwrap_or(0.0)).sum::<f32>() / seen.len() as f32;
    let places = image.shape[1] * image.shape[2];
    let overall = Image::new([image.shape[0], 1, 1, image.shape[3]], |b, _, _, c| {
        let all = (0..places).map(|p| f64::from(image.at(b, p / image.shape[2], p % image.shape[2], c)));
        (all.sum::<f64>() / places as f64) as f32
    });
    BTreeMap::from([
        ("square", two.of(image, w("square"), bias)),
        ("wide", Convolution { stride: [2, 4], ..PLAIN }.of(image, w("wide"), &[])),
        ("point", PLAIN.of(image, w("point"), &[])),
        ("point_stride", relu(Convolution { stride: [2, 2], ..PLAIN }.of(image, w("point"), &[]))),
        ("dilated", Convolution { padding: [2, 3], dilation: 2, ..PLAIN }.of(image, w("square"), &[])),
        ("parts", Convolution { groups: 2, ..two }.of(image, w("parts"), bias)),
        ("each", eight.of(image, w("each"), &bias[..8])),
        ("line", Convolution { stride: [1, 3], padding: [0, 2], ..PLAIN }.of(audio, w("line"), &[])),
        ("line_each", Convolution { dilation: 2, groups: 8, ..PLAIN }.of(audio, w("line_each"), &[])),
        ("highest", pool(image, 3, 2, 1, |seen| seen.iter().flatten().fold(f32::MIN, |a, b| a.max(*b)))),
        ("average", pool(image, 2, 2, 0, mean)),
        ("overall", overall),
        ("twice", Convolution { padding: [1, 1], ..PLAIN }.of(&halved, w("square"), &[])),
    ])
}

#[test]
fn convolutions_and_pools_are_what_their_sums_say() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let arch = dir.path().join("images.ron");
    std::fs::write(&arch, ARCHITECTURE).expect("a file");
    let files = files();
    for precision in ["f32", "q8"] {
        let options = CompileOptions { arch: Some(arch.clone()), precision: precision.into(), ..Default::default() };
        let mut twins = Twins::compile(&files, &options).expect("it compiles");
        for (batch, height, width, length) in [(1, 9, 14, 9), (2, 17, 12, 40)] {
            let mut numbers = Numbers::new(height as u64);
            let mut random = |shape: [usize; 4]| {
                let data = (0..shape.iter().product()).map(|_| numbers.uniform()).collect();
                Image { shape, data }
            };
            let (image, audio) = (random([batch, height, width, 8]), random([batch, 1, length, 8]));
            let inputs = BTreeMap::from([
                ("image".to_string(), Tensor::f32(image.shape, image.data.clone())),
                ("audio".to_string(), Tensor::f32([batch, length, 8], audio.data.clone())),
            ]);
            let task = Task { inputs, greedy: None, padding: Vec::new(), tolerance: 1e-4 };
            twins.check(&task).unwrap_or_else(|e| panic!("{precision}: {e}"));
            if precision != "f32" {
                continue;
            }
            let found = twins.expected(&task).expect("it runs");
            for (name, image) in expected(&files, &image, &audio) {
                let Data::F32(values) = &found[name].data else { panic!("{name} holds floats") };
                assert_eq!(values.len(), image.data.len(), "{name} {:?}", found[name].shape);
                let worst = values.iter().zip(&image.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 2e-5, "{name}: {worst}");
            }
        }
    }
}
