//! Documents as the model sees them, as one HTML page: tokens with what they weigh in the loss, pictures as their tiles.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::picture::{Bounds, Picture, Preparation};

/// The page's head. It needs no network, and follows the reader's wish for light or dark.
const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Documents as the model sees them</title>\n<style>\n\
:root { color-scheme: light dark; font: 15px/1.7 system-ui, sans-serif; }\n\
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }\n\
section { border-top: 1px solid #8886; padding: .5rem 0 1rem; }\n\
h2 { font-size: 1rem; font-weight: 600; }\n\
.t { border-radius: 3px; padding: 0 1px; background: #3a86; white-space: pre-wrap; font-family: ui-monospace, monospace; }\n\
.c { background: #8883; }\n.s { background: #85c6; font-size: .8rem; }\n\
img { image-rendering: pixelated; width: 96px; height: 96px; margin: 2px; border: 1px solid #8886; vertical-align: top; }\n\
figure { display: inline-block; margin: .25rem; }\n</style>\n\
<h1>Documents as the model sees them</h1>\n\
<p><span class=\"t\">counts in the loss</span> <span class=\"t c\">context only</span> <span class=\"t s\">reserved token</span></p>\n";

/// Text as HTML, with line ends made visible.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\n', "⏎\n")
}

/// The tiles of a picture as images of the page.
fn tiles(bytes: &[u8], preparation: &Preparation) -> Result<String, String> {
    let picture = Picture::decode(bytes, &Bounds::default()).map_err(|error| error.to_string())?;
    let made = preparation.apply(&picture);
    let side = preparation.tile;
    let size = 3 * (side * side) as usize;
    let mut html = String::new();
    for tile in made.pixels().chunks_exact(size) {
        let Some(tile) = Picture::of_pixels(side, side, tile.to_vec()) else { continue };
        let data = BASE64_STANDARD.encode(tile.to_png());
        let _ = write!(html, "<img alt=\"tile of {side} pixels\" src=\"data:image/png;base64,{data}\">");
    }
    let layout = made.layout();
    let _ = write!(
        html,
        "<br><small>{} × {} pixels, {} tiles</small>",
        picture.width(),
        picture.height(),
        layout.tiles()
    );
    Ok(html)
}

/// A page of so many documents of a split, from `first` on.
///
/// # Errors
/// [`Error::Config`] if there is no such document; [`Error::Corrupt`] for an image that cannot be read any more.
pub fn page(dataset: &Dataset, eval: bool, first: u64, count: u64) -> Result<String> {
    let split = if eval { dataset.eval() } else { dataset.train() };
    if first >= split.documents() {
        let have = split.documents();
        return Err(Error::Config(format!("document {first}: the split has {have}, counted from 0")));
    }
    let tokenizer = dataset.tokenizer();
    let mut html = String::from(HEAD);
    for document in first..split.documents().min(first.saturating_add(count)) {
        let range = split.document(document);
        let mut ids = vec![0; (range.end - range.start) as usize];
        split.read(range.start, &mut ids)?;
        let _ = writeln!(
            html,
            "<section><h2>document {document}: {} tokens, {} bytes of text</h2>",
            ids.len(),
            split.document_bytes(document)
        );
        let mut images = split.document_images(document).peekable();
        let mut segments = split.document_segments(document).peekable();
        let mut at = range.start;
        // What stands together and looks alike is one span.
        let (mut text, mut class) = (String::new(), "");
        let flush = |html: &mut String, text: &mut String, class: &str| {
            if !text.is_empty() {
                let _ = write!(html, "<span class=\"{class}\">{}</span>", escaped(text));
                text.clear();
            }
        };
        while at < range.end {
            while segments.peek().is_some_and(|&(end, _)| end <= at) {
                segments.next();
            }
            if let Some((place, bytes, _)) = images.next_if(|(place, ..)| place.start == at) {
                flush(&mut html, &mut text, class);
                let seeing = dataset.manifest().seeing.as_ref();
                let shown = match seeing {
                    Some(seeing) => tiles(bytes, &seeing.preparation),
                    None => Err("the data has no pictures".into()),
                };
                let shown = shown.map_err(|what| {
                    Error::corrupt(dataset.folder(), format!("document {document}: {what}"))
                })?;
                let _ = write!(
                    html,
                    "<figure>{shown}<small>, {} tokens</small></figure>",
                    place.end - place.start
                );
                at = place.end;
                continue;
            }
            let id = ids[(at - range.start) as usize].max(0) as u32;
            let counts = segments.peek().is_some_and(|&(_, weight)| weight > 0.0);
            let own = match (tokenizer.is_special(id), counts) {
                (true, _) => "t s",
                (_, true) => "t",
                _ => "t c",
            };
            if own != class {
                flush(&mut html, &mut text, class);
                class = own;
            }
            text += &tokenizer.token_text(id);
            at += 1;
        }
        flush(&mut html, &mut text, class);
        html += "</section>\n";
    }
    Ok(html + "</html>\n")
}
