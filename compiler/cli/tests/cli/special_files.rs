//! Model directories from others with files that are not regular ones.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::Place;

fn pipe(at: &Path) {
    let _ = std::fs::remove_file(at);
    assert!(Command::new("mkfifo").arg(at).status().unwrap().success());
}

#[test]
fn pipes_and_devices_are_not_read() {
    let place = Place::new();
    let model = place.model();
    for name in ["config.json", "tokenizer_config.json", "chat_template.jinja", "tokenizer.json"] {
        let (path, kept) = (model.join(name), place.at("kept"));
        let was_there = path.exists();
        if was_there {
            std::fs::rename(&path, &kept).unwrap();
        }
        pipe(&path);
        place.run(&["compile", "model", "-o", "out"]).fails(2, &[name, "not a regular file"]);
        std::fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        place.run(&["compile", "model", "-o", "out"]).fails(2, &[name]);
        std::fs::remove_file(&path).unwrap();
        if was_there {
            std::fs::rename(&kept, &path).unwrap();
        }
    }
    pipe(&model.join("model.safetensors"));
    place.run(&["compile", "model", "-o", "out"]).fails(2, &["has no weights"]);
    pipe(&place.at("arch.ron"));
    let model = crate::common::stories().display().to_string();
    place.run(&["compile", &model, "-o", "out", "--arch", "arch.ron"]).fails(2, &["arch.ron", "not a regular file"]);
    assert_eq!(place.names(), ["arch.ron", "model"]);
}

/// Whoever publishes what was compiled from a cloned repository must not publish files of their own.
#[test]
fn links_out_of_the_directory_are_not_followed() {
    let place = Place::new();
    let model = place.model();
    std::fs::write(place.at("secret"), "{{ 'a secret' }}").unwrap();
    for name in ["chat_template.jinja", "generation_config.json", "model.safetensors"] {
        let (path, kept) = (model.join(name), place.at("kept"));
        let was_there = path.exists();
        if was_there {
            std::fs::rename(&path, &kept).unwrap();
        }
        symlink(place.at("secret"), &path).unwrap();
        place.run(&["compile", "model", "-o", "out"]).fails(2, &[name, "outside of the model directory", "Hub"]);
        std::fs::remove_file(&path).unwrap();
        if was_there {
            std::fs::rename(&kept, &path).unwrap();
        }
    }
    assert_eq!(place.names(), ["model", "secret"]);
    // The directory may be a link, and so may files that link to others inside it.
    std::fs::rename(model.join("config.json"), model.join("c")).unwrap();
    symlink("c", model.join("config.json")).unwrap();
    symlink("model", place.at("link")).unwrap();
    place.run(&["compile", "link", "-o", "out", "--target", "native"]).ok();
}
