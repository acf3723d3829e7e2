//! Encoded bytes to pixels. PNG, JPEG, WebP and GIF (its first frame), of any depth and colour.

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// What an encoded picture may measure, asked of its header before a pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the file.
    pub bytes: usize,
    /// Width times height.
    pub pixels: u64,
    /// Width and height each: what scaling takes beside the picture grows with them.
    pub side: u32,
}

impl Default for Bounds {
    /// 64 MiB, and 64 Mi pixels with sides of 65,536: a photograph of today's largest cameras, and 192 MiB in memory.
    fn default() -> Bounds {
        Bounds { bytes: 1 << 26, pixels: 1 << 26, side: 1 << 16 }
    }
}

/// Why bytes are no picture. Whoever knows where they come from says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There are none.
    #[error("the picture has no bytes")]
    Empty,
    /// The file is too large.
    #[error("the picture has {bytes} bytes, and {most} are allowed")]
    Bytes {
        /// What it has.
        bytes: usize,
        /// What is allowed.
        most: usize,
    },
    /// It would be too large in memory.
    #[error(
        "the picture says that it measures {width} × {height} pixels; 1 to {most} in all are allowed, and {side} along a side"
    )]
    Pixels {
        /// What it says.
        width: u32,
        /// What it says.
        height: u32,
        /// What is allowed in all.
        most: u64,
        /// What is allowed along a side.
        side: u32,
    },
    /// To decode it would take more memory than any picture within the bounds does.
    #[error("the picture takes more memory to decode than one of {most} pixels, and no more are allowed")]
    Memory {
        /// What is allowed.
        most: u64,
    },
    /// It begins like none of the formats that are read.
    #[error("the picture is none of PNG, JPEG, WebP and GIF")]
    Format,
    /// Its decoder stopped.
    #[error("the picture cannot be decoded: {0}")]
    Damaged(String),
}

/// Upright RGB pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixels: Vec<u8>,
}

impl Picture {
    /// Of pixels, row by row from the top, three bytes each; `None` if they are not `width · height`, or none.
    pub fn of_pixels(width: u32, height: u32, pixels: Vec<u8>) -> Option<Picture> {
        let whole = pixels.len() as u64 == 3 * u64::from(width) * u64::from(height);
        (whole && !pixels.is_empty()).then_some(Picture { width, height, pixels })
    }

    /// Decodes, turns upright (EXIF), lays what is transparent on white, and gives grey, 16-bit and CMYK pictures as RGB.
    pub fn decode(bytes: &[u8], bounds: &Bounds) -> Result<Picture, Unreadable> {
        let mut decoder = open(bytes, bounds)?;
        // A picture whose orientation cannot be read is taken as it stands, as browsers do.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut image = DynamicImage::from_decoder(decoder).map_err(|error| damaged(error, bounds))?;
        image.apply_orientation(orientation);
        let (width, height) = (image.width(), image.height());
        let pixels = match image.color().has_alpha() {
            true => on_white(image.into_rgba8().as_raw()),
            false => image.into_rgb8().into_raw(),
        };
        Ok(Picture { width, height, pixels })
    }

    /// Width and height as it will stand, from the header alone.
    pub fn size(bytes: &[u8], bounds: &Bounds) -> Result<(u32, u32), Unreadable> {
        let mut decoder = open(bytes, bounds)?;
        let (width, height) = decoder.dimensions();
        let turned = [
            Orientation::Rotate90,
            Orientation::Rotate270,
            Orientation::Rotate90FlipH,
            Orientation::Rotate270FlipH,
        ];
        Ok(match decoder.orientation() {
            Ok(orientation) if turned.contains(&orientation) => (height, width),
            _ => (width, height),
        })
    }

    /// Pixels from left to right.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels from top to bottom.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Row by row from the top, red, green and blue.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

/// Bytes that a decoder may take before a pixel is decoded: for a row, and for what a PNG packs beside its pixels, such as a
/// profile of colours, however small it says the picture is.
const BEFORE: u64 = 4 << 20;

/// A decoder that has read the header, if that keeps to the bounds.
fn open<'b>(bytes: &'b [u8], bounds: &Bounds) -> Result<impl ImageDecoder + 'b, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    if bytes.len() > bounds.bytes {
        return Err(Unreadable::Bytes { bytes: bytes.len(), most: bounds.bytes });
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(BEFORE);
    let mut reader = ImageReader::new(Cursor::new(bytes));
    reader.limits(limits.clone());
    let damaged = |error| damaged(error, bounds);
    let reader = reader.with_guessed_format().map_err(|_| Unreadable::Format)?;
    if reader.format().is_none() {
        return Err(Unreadable::Format);
    }
    if reader.format() == Some(ImageFormat::Jpeg) && !is_whole_jpeg(bytes) {
        return Err(Unreadable::Damaged("the file is cut off: no end follows its last scan".into()));
    }
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > bounds.pixels || width.max(height) > bounds.side {
        return Err(Unreadable::Pixels { width, height, most: bounds.pixels, side: bounds.side });
    }
    // Sixteen bits a channel, four channels; what a decoder needs beside the picture is a few rows.
    limits.max_alloc = Some(bounds.pixels.saturating_mul(8).saturating_add(1 << 20));
    decoder.set_limits(limits).map_err(damaged)?;
    Ok(decoder)
}

/// Whether the marker of the end stands behind the last scan; coded pixels hold no marker. The decoder itself fills up with grey
/// what is missing.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let last = |mark: u8| bytes.windows(2).rposition(|pair| pair == [0xff, mark]);
    last(0xda) < last(0xd9)
}

fn damaged(error: ImageError, bounds: &Bounds) -> Unreadable {
    match error {
        ImageError::Unsupported(_) => Unreadable::Format,
        ImageError::Limits(_) => Unreadable::Memory { most: bounds.pixels },
        // Some decoders speak in several lines.
        other => Unreadable::Damaged(other.to_string().split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

/// RGBA over white.
fn on_white(pixels: &[u8]) -> Vec<u8> {
    let over = |colour: u8, alpha: u8| {
        let (colour, alpha) = (u32::from(colour), u32::from(alpha));
        ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    pixels
        .chunks_exact(4)
        .flat_map(|pixel| [over(pixel[0], pixel[3]), over(pixel[1], pixel[3]), over(pixel[2], pixel[3])])
        .collect()
}
