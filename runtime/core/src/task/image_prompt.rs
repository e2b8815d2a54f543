//! Images in a prompt.

use gristmill_bundle::{Manifest, TaskOutput};

use super::entries::tasks;
use super::inputs::{TaskInputs, inputs};
use crate::error::Error;
use crate::generate::Prompt;
use crate::image::Image;

/// How a prompt says where an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImagePlaceholder<'a> {
    /// The token that stands for one.
    pub token: u32,
    /// The text that stands for one, if not that token alone.
    pub text: Option<&'a str>,
}

/// How prompts of this model say where images are; none if its prompts hold no images.
pub fn image_placeholder(manifest: &Manifest) -> Option<ImagePlaceholder<'_>> {
    tasks(manifest).find_map(|(_, task)| match &task.output {
        TaskOutput::ImagePrompt { token, placeholder, .. } => {
            Some(ImagePlaceholder { token: *token, text: placeholder.as_deref() })
        }
        _ => None,
    })
}

/// A prompt with images. `tokens` hold the token that stands for an image once for each of them, in their order; here
/// it takes as many places as the model sees parts of that image.
pub fn image_prompt(manifest: &Manifest, tokens: &[u32], images: &[Image]) -> Result<Prompt, Error> {
    let task = tasks(manifest).map(|(_, task)| task).find(|task| matches!(task.output, TaskOutput::ImagePrompt { .. }));
    let Some((task, TaskOutput::ImagePrompt { token, count, .. })) = task.map(|task| (task, &task.output)) else {
        return Err(Error::Unsupported("the prompts of this model hold no images".to_string()));
    };
    let marks = tokens.iter().filter(|t| *t == token).count();
    if marks != images.len() {
        let expected = format!("the token {token} once for each of {} images", images.len());
        return Err(Error::Input { name: "prompt".to_string(), expected, found: format!("{marks} of them") });
    }
    if images.is_empty() {
        return Prompt::text(manifest, tokens);
    }
    let (given, prepared) = inputs(manifest, task, TaskInputs { images, ..TaskInputs::default() })?;
    let counts = prepared.iter().map(|p| p.eval(count)).collect::<Result<Vec<_>, _>>()?;
    let wanted = (tokens.len() - marks) as u64 + counts.iter().map(|n| u64::from(*n)).sum::<u64>();
    let capacity = manifest.model.max_context;
    if wanted > u64::from(capacity) {
        let hint = " of this bundle: take fewer or smaller images, or compile with a larger --max-context".to_string();
        return Err(Error::Context { wanted, capacity, hint });
    }
    let mut counts = counts.into_iter();
    let times = |id: &u32| if id == token { counts.next().unwrap_or(0) as usize } else { 1 };
    let all: Vec<usize> = tokens.iter().map(times).collect();
    let tokens = tokens.iter().zip(all).flat_map(|(id, times)| std::iter::repeat_n(*id, times)).collect();
    Ok(Prompt::beside(tokens, given))
}
