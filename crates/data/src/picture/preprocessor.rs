//! `preprocessor_config.json`: how the Idefics3 and SmolVLM image processors of `transformers` are told what to do.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Filter, Preparation};

/// What a file may say; what it leaves out is the processor's default.
#[derive(Deserialize)]
#[serde(default)]
struct File {
    do_convert_rgb: bool,
    do_resize: bool,
    size: Option<Edge>,
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

impl Default for File {
    fn default() -> File {
        File {
            do_convert_rgb: true,
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
    /// Reads a file; the error says what it asks for that is not done here.
    pub(crate) fn of_preprocessor(json: &[u8]) -> Result<Preparation, String> {
        let file: File = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let done = file.do_convert_rgb && file.do_rescale && file.do_normalize;
        if !done || (file.rescale_factor * 255.0 - 1.0).abs() > 1e-6 {
            return Err(
                "pictures that are not turned to RGB, scaled to 0 to 1 and normalised are not supported"
                    .into(),
            );
        }
        let filter = FILTERS.iter().find(|(number, _)| *number == file.resample);
        let (_, filter) = filter.ok_or_else(|| format!("resample = {} is not supported", file.resample))?;
        let edge = |edge: Option<Edge>, default: u32| edge.map_or(default, |edge| edge.longest_edge);
        Ok(Preparation {
            longest_edge: file.do_resize.then(|| edge(file.size, 4 * 364)),
            tile: edge(file.max_image_size, 364),
            split: file.do_image_splitting,
            filter: *filter,
            mean: file.image_mean.unwrap_or([0.5; 3]),
            deviation: file.image_std.unwrap_or([0.5; 3]),
        })
    }

    /// The value of a file.
    pub(crate) fn to_preprocessor(&self) -> Value {
        let resample = FILTERS.iter().find(|(_, filter)| *filter == self.filter).map(|(number, _)| number);
        json!({
            "image_processor_type": "Idefics3ImageProcessor",
            "processor_class": "Idefics3Processor",
            "do_convert_rgb": true,
            "do_resize": self.longest_edge.is_some(),
            "size": { "longest_edge": self.longest_edge.unwrap_or(self.tile) },
            "resample": resample,
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
        let defaults = Preparation::of_preprocessor(b"{}").unwrap();
        assert_eq!((defaults.longest_edge, defaults.tile), (Some(1456), 364));
        for (text, said) in [
            (r#"{"do_normalize": false}"#, "normalised"),
            (r#"{"rescale_factor": 1.0}"#, "scaled"),
            (r#"{"resample": 0}"#, "resample = 0"),
            (r#"{"size": 3}"#, "invalid type"),
            ("", "EOF"),
        ] {
            let error = Preparation::of_preprocessor(text.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
