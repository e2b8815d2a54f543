//! Images in prompts: placeholders in the text, and the image tokens that replace them.

use gristmill_bundle::{Manifest, TaskOutput};
use serde::Serialize;

use super::entries::tasks;
use super::inputs::{TaskInputs, inputs};
use crate::error::Error;
use crate::image::Image;
use crate::prompt::{Prompt, check_fits};

/// The placeholder of an image in a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImagePlaceholder<'a> {
    /// The placeholder token.
    pub token: u32,
    /// The placeholder text, if it is not that token alone.
    pub text: Option<&'a str>,
}

/// The placeholder of images in prompts of a model; none if it takes no images in prompts.
pub fn image_placeholder(manifest: &Manifest) -> Option<ImagePlaceholder<'_>> {
    tasks(manifest).find_map(|(_, task)| match &task.output {
        TaskOutput::ImagePrompt { token, placeholder, .. } => {
            Some(ImagePlaceholder { token: *token, text: placeholder.as_deref() })
        }
        _ => None,
    })
}

/// The placeholder of an image as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageText {
    /// The complete text.
    pub placeholder: String,
    /// The part of it that is the placeholder token.
    pub token: String,
}

impl ImageText {
    /// The text of a placeholder whose token reads `token`.
    pub fn new(placeholder: ImagePlaceholder<'_>, token: String) -> Self {
        ImageText { placeholder: placeholder.text.unwrap_or(&token).to_string(), token }
    }

    /// The number of placeholders in a text.
    pub fn count(&self, text: &str) -> usize {
        if self.token.is_empty() { 0 } else { text.matches(self.token.as_str()).count() }
    }

    /// A text with at least as many placeholders as images; missing ones are prepended.
    pub fn place(&self, text: &str, images: usize) -> String {
        [&self.placeholder.repeat(images.saturating_sub(self.count(text))), text].concat()
    }
}

/// A prompt with images. `tokens` has the placeholder token once for each image, in order; the prompt repeats it as
/// often as the model has features of that image.
///
/// # Errors
/// If there are more or fewer placeholders than images, the prompt does not fit into the context, or the model takes no
/// images in prompts.
pub fn image_prompt(manifest: &Manifest, tokens: &[u32], images: &[Image]) -> Result<Prompt, Error> {
    if images.is_empty() && image_placeholder(manifest).is_none() {
        return Prompt::text(manifest, tokens);
    }
    let task = tasks(manifest).map(|(_, task)| task).find(|task| matches!(task.output, TaskOutput::ImagePrompt { .. }));
    let Some((task, TaskOutput::ImagePrompt { token, count, .. })) = task.map(|task| (task, &task.output)) else {
        return Err(Error::Unsupported("this model takes no images in prompts".to_string()));
    };
    let placeholders = tokens.iter().filter(|t| *t == token).count();
    if placeholders != images.len() {
        let expected = format!("the token {token} once per image ({} in all)", images.len());
        return Err(Error::Input { name: "prompt".to_string(), expected, found: format!("{placeholders}") });
    }
    if images.is_empty() {
        return Prompt::text(manifest, tokens);
    }
    let (given, prepared) = inputs(manifest, task, TaskInputs { images, ..TaskInputs::default() })?;
    let counts = prepared.iter().map(|p| p.eval(count)).collect::<Result<Vec<_>, _>>()?;
    let wanted = (tokens.len() - placeholders) as u64 + counts.iter().map(|n| u64::from(*n)).sum::<u64>();
    check_fits(manifest, wanted, "use fewer or smaller images,")?;
    let mut counts = counts.into_iter();
    let times = |id: &u32| if id == token { counts.next().unwrap_or(0) as usize } else { 1 };
    let all: Vec<usize> = tokens.iter().map(times).collect();
    let tokens = tokens.iter().zip(all).flat_map(|(id, times)| std::iter::repeat_n(*id, times)).collect();
    Ok(Prompt::beside(tokens, given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_that_are_missing_stand_in_front() {
        let plain = ImageText::new(ImagePlaceholder { token: 7, text: None }, "<image>".into());
        assert_eq!(plain.place("what is it", 2), "<image><image>what is it");
        assert_eq!(plain.place("is <image> it", 1), "is <image> it");
        assert_eq!(plain.place("is <image> it", 2), "<image>is <image> it");
        let wrapped = ImagePlaceholder { token: 7, text: Some("<begin><image><end>") };
        assert_eq!(ImageText::new(wrapped, "<image>".into()).place("it", 1), "<begin><image><end>it");
    }
}
