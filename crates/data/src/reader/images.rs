//! Where the images of a document are: as files beside it, in its own line, or in a list of them.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::document::{Document, ImageRef, Message, SegmentKind};
use crate::source::InputFile;

/// The folder that a file's relative names start from.
pub(super) fn folder(file: &InputFile) -> PathBuf {
    file.path.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// What a value of JSON names: a text, or the `url` or `path` of an object.
pub(crate) fn named(image: &Value) -> Option<&str> {
    image.as_str().or_else(|| image.get("url")?.as_str()).or_else(|| image.get("path")?.as_str())
}

/// Gives every image its bytes, if its name holds them (`data:image/png;base64,…`), or its path from `folder` on.
pub(super) fn locate(document: &mut Document, folder: &Path) -> Result<(), String> {
    for image in document.images_mut() {
        let ImageRef::File(name) = &*image else { continue };
        *image = reference(name, folder)?;
    }
    Ok(())
}

/// What a name means: bytes in itself, or a file from `folder` on.
pub(crate) fn reference(name: &str, folder: &Path) -> Result<ImageRef, String> {
    if name.is_empty() {
        return Err("has an image without a name".into());
    }
    match name.strip_prefix("data:") {
        Some(rest) => {
            let encoded = rest.split_once(";base64,").map(|(_, encoded)| encoded.trim());
            let encoded = encoded.ok_or("has an image in a data URI that is not base64")?;
            let bytes = BASE64_STANDARD.decode(encoded);
            Ok(ImageRef::Bytes(bytes.map_err(|error| format!("has an image that is no base64: {error}"))?))
        }
        None if name.contains("://") => {
            Err(format!("has an image at {name}; nothing is downloaded: give it as a file"))
        }
        None => Ok(ImageRef::File(folder.join(name).to_string_lossy().into_owned())),
    }
}

/// Gives listed images to the places of messages that show one and name none; if there are no places, they stand before
/// what the user says first, as TRL has it.
pub(super) fn hand_out(messages: &mut [Message], images: Vec<ImageRef>) -> Result<(), String> {
    let nameless =
        |part: &&mut SegmentKind| matches!(part, SegmentKind::Image(ImageRef::File(name)) if name.is_empty());
    let places: Vec<_> =
        messages.iter_mut().flat_map(|message| message.content.iter_mut().filter(nameless)).collect();
    match places.len() {
        count if count == images.len() => {
            places.into_iter().zip(images).for_each(|(place, image)| *place = SegmentKind::Image(image));
            Ok(())
        }
        0 => {
            let user = messages.iter_mut().find(|message| message.role == "user");
            let user = user.ok_or("has images and no message of a user")?;
            user.content.splice(0..0, images.into_iter().map(SegmentKind::Image));
            Ok(())
        }
        count => Err(format!("has {count} places for images and {} images", images.len())),
    }
}
