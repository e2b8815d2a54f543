//! Prompts from texts, conversations and images, according to the manifest of a bundle.

use gristmill_bundle::{Bundle, Manifest};

use crate::error::Error;
use crate::image::Image;
use crate::prompt::Prompt;
use crate::task::{ImageText, image_placeholder, image_prompt};
use crate::template::{ChatOptions, ChatTemplate, Message};
use crate::tokenizer::Tokenizer;

/// Makes the prompts of a bundle.
#[derive(Debug)]
pub struct Prompter {
    manifest: Manifest,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
}

impl Prompter {
    /// Reads the tokenizer and the chat template of a bundle, but no weights.
    ///
    /// # Errors
    /// If the bundle has no tokenizer, or a file cannot be read.
    pub fn of(bundle: &Bundle) -> Result<Self, Error> {
        let (manifest, tokenizer) = (bundle.manifest().clone(), Tokenizer::from_bundle(bundle)?);
        Ok(Prompter { manifest, tokenizer, template: ChatTemplate::from_bundle(bundle)? })
    }

    /// The tokenizer of the bundle.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Whether the bundle has a chat template.
    pub fn chats(&self) -> bool {
        self.template.is_some()
    }

    /// The number of image placeholders in a text.
    ///
    /// # Errors
    /// If the tokenizer does not know the placeholder of the model.
    pub fn images_in(&self, text: &str) -> Result<usize, Error> {
        Ok(self.image()?.map_or(0, |image| image.count(text)))
    }

    /// The prompt for a text to continue or to encode. Images without a placeholder in the text come first.
    ///
    /// # Errors
    /// If there are images and the model takes none, the text has more placeholders than there are images, or the
    /// prompt does not fit into the context.
    pub fn text(&self, text: &str, images: &[Image]) -> Result<Prompt, Error> {
        let placed = self.image()?.map_or_else(|| text.to_string(), |image| image.place(text, images.len()));
        image_prompt(&self.manifest, &self.tokenizer.encode(&placed, true)?, images)
    }

    /// The prompt for a conversation. `images` are the images of its image parts, in order.
    ///
    /// # Errors
    /// Those of [`Prompter::text`]; also if the bundle has no chat template, or the template rejects the conversation.
    pub fn chat(&self, messages: &[Message], images: &[Image], options: &ChatOptions) -> Result<Prompt, Error> {
        let template = self.template.as_ref();
        let template = template.ok_or_else(|| Error::Unsupported("this model has no chat template".to_string()))?;
        let text = template.render(messages, &ChatOptions { image: self.image()?, ..options.clone() })?;
        // The template writes special tokens itself.
        image_prompt(&self.manifest, &self.tokenizer.encode(&text, false)?, images)
    }

    /// The text of an image in a prompt; none if the model takes no images in prompts.
    fn image(&self) -> Result<Option<ImageText>, Error> {
        let Some(placeholder) = image_placeholder(&self.manifest) else { return Ok(None) };
        let token = self.tokenizer.id_to_token(placeholder.token).ok_or_else(|| {
            Error::Unsupported(format!(
                "the tokenizer of this model lacks its image placeholder, token {}",
                placeholder.token
            ))
        })?;
        Ok(Some(ImageText::new(placeholder, token)))
    }
}
