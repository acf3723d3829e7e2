//! `preprocessor_config.json`: how the Idefics3 and SmolVLM image processors of `transformers` are told what to do, and SigLIP's,
//! which scales a picture to one tile.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Filter, Preparation};
use crate::error::{Error, Result};

/// What a file may say; what it leaves out is the processor's default.
#[derive(Deserialize)]
#[serde(default)]
struct File {
    image_processor_type: String,
    do_convert_rgb: Option<bool>,
    do_resize: bool,
    size: Option<Value>,
    resample: u32,
    do_image_splitting: bool,
    max_image_size: Option<Edge>,
    do_rescale: bool,
    rescale_factor: f64,
    do_normalize: bool,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
}

#[derive(Deserialize)]
struct Edge {
    longest_edge: u32,
}

/// A tile's sides.
#[derive(Deserialize)]
struct Sides {
    height: u32,
    width: u32,
}

impl Default for File {
    fn default() -> File {
        File {
            image_processor_type: String::new(),
            do_convert_rgb: None,
            do_resize: true,
            size: None,
            resample: 1,
            do_image_splitting: true,
            max_image_size: None,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: None,
            image_std: None,
        }
    }
}

/// Pillow's numbers of filters.
const FILTERS: [(u32, Filter); 3] = [(1, Filter::Lanczos), (2, Filter::Bilinear), (3, Filter::Bicubic)];

impl Preparation {
    /// Reads a `preprocessor_config.json`.
    ///
    /// # Errors
    /// [`Error::Config`] for what is none, or asks for something else than is done here.
    pub fn of_preprocessor(json: &[u8]) -> Result<Preparation> {
        let refused = |what: &str| Error::Config(format!("preprocessor_config.json: {what}"));
        let file: File = serde_json::from_slice(json).map_err(|error| refused(&error.to_string()))?;
        let done = file.do_convert_rgb.unwrap_or(true) && file.do_rescale && file.do_normalize;
        if !done || (file.rescale_factor * 255.0 - 1.0).abs() > 1e-6 {
            let what =
                "pictures that are not turned to RGB, scaled to 0 to 1 and normalised are not supported";
            return Err(refused(what));
        }
        let filter = FILTERS.iter().find(|(number, _)| *number == file.resample);
        let unknown = || refused(&format!("resample = {} is not supported", file.resample));
        let (_, filter) = filter.ok_or_else(unknown)?;
        let (mean, deviation) = (file.image_mean.unwrap_or([0.5; 3]), file.image_std.unwrap_or([0.5; 3]));
        let size = |error: serde_json::Error| refused(&format!("size: {error}"));
        if file.image_processor_type.starts_with("SiglipImageProcessor") {
            let sides = file.size.map(serde_json::from_value).transpose().map_err(size)?;
            let Sides { height, width } = sides.unwrap_or(Sides { height: 224, width: 224 });
            if !file.do_resize || height != width {
                return Err(refused("pictures that are not scaled to a square are not supported"));
            }
            return Ok(Preparation {
                split: false,
                filter: *filter,
                mean,
                deviation,
                ..Preparation::new(None, height)
            });
        }
        let edge = file.size.map(serde_json::from_value).transpose().map_err(size)?;
        let edge = edge.map_or(4 * 364, |Edge { longest_edge }| longest_edge);
        Ok(Preparation {
            longest_edge: file.do_resize.then_some(edge),
            tile: file.max_image_size.map_or(364, |edge| edge.longest_edge),
            split: file.do_image_splitting,
            filter: *filter,
            mean,
            deviation,
        })
    }

    /// The value of a file for SigLIP's processor.
    pub(crate) fn to_siglip(&self) -> Value {
        json!({
            "image_processor_type": "SiglipImageProcessor",
            "processor_class": "LlavaProcessor",
            "do_convert_rgb": true,
            "do_resize": true,
            "size": { "height": self.tile, "width": self.tile },
            "resample": self.resample(),
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": self.mean,
            "image_std": self.deviation,
        })
    }

    fn resample(&self) -> Option<u32> {
        FILTERS.iter().find(|(_, filter)| *filter == self.filter).map(|(number, _)| *number)
    }

    /// The value of a file.
    pub(crate) fn to_preprocessor(&self) -> Value {
        json!({
            "image_processor_type": "Idefics3ImageProcessor",
            "processor_class": "Idefics3Processor",
            "do_convert_rgb": true,
            "do_resize": self.longest_edge.is_some(),
            "size": { "longest_edge": self.longest_edge.unwrap_or(self.tile) },
            "resample": self.resample(),
            "do_image_splitting": self.split,
            "max_image_size": { "longest_edge": self.tile },
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": self.mean,
            "image_std": self.deviation,
            "do_pad": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_not_done_is_refused() {
        for (longest_edge, split, filter) in [
            (None, true, Filter::Lanczos),
            (Some(128), true, Filter::Bilinear),
            (Some(64), false, Filter::Bicubic),
        ] {
            let told =
                Preparation { split, filter, mean: [0.1, 0.2, 0.3], ..Preparation::new(longest_edge, 64) };
            let text = told.to_preprocessor().to_string();
            assert_eq!(Preparation::of_preprocessor(text.as_bytes()).unwrap(), told);
        }
        let one = Preparation { split: false, filter: Filter::Bicubic, ..Preparation::new(None, 48) };
        let text = one.to_siglip().to_string();
        assert_eq!(Preparation::of_preprocessor(text.as_bytes()).unwrap(), one);
        let defaults = Preparation::of_preprocessor(b"{}").unwrap();
        assert_eq!((defaults.longest_edge, defaults.tile), (Some(1456), 364));
        for (text, said) in [
            (r#"{"do_normalize": false}"#, "normalised"),
            (r#"{"rescale_factor": 1.0}"#, "scaled"),
            (r#"{"resample": 0}"#, "resample = 0"),
            (r#"{"size": 3}"#, "invalid type"),
            (
                r#"{"image_processor_type": "SiglipImageProcessor", "size": {"height": 8, "width": 9}}"#,
                "square",
            ),
            (r#"{"image_processor_type": "SiglipImageProcessor", "size": {"shortest_edge": 8}}"#, "size: "),
            ("", "EOF"),
        ] {
            let error = Preparation::of_preprocessor(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
