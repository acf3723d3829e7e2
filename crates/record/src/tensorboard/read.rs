//! Reading event files that anybody wrote: scalars in either of their two forms, hyper-parameters and texts.
//! Foreign bytes: lengths and sums are checked before anything is believed.

use super::masked;
use super::proto::{Value, field, fields, varint};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// What an event file says of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// Scalars, in the order in which they were written.
    pub scalars: Vec<Scalar>,
    /// Hyper-parameters (as of the HParams plugin) and texts, by name.
    pub settings: BTreeMap<String, String>,
    /// The file ends inside of a record: its writer was killed, or still writes.
    pub torn: bool,
}

/// A value at a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Its name.
    pub tag: String,
    /// Its step.
    pub step: u64,
    /// The value.
    pub value: f64,
}

/// Files beyond this are no event file of scalars.
const LARGEST: u64 = 1 << 32;

/// What the plugin of texts appends to a tag (PyTorch and TensorBoardX do).
const TEXT: &str = "/text_summary";

impl Events {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Events> {
        let about = std::fs::metadata(path).map_err(Error::io("read", path))?;
        if !about.is_file() || about.len() > LARGEST {
            return Err(Error::damaged(path, "is no event file: no regular file, or over 4 GiB"));
        }
        Events::of_bytes(path, &std::fs::read(path).map_err(Error::io("read", path))?)
    }

    /// Reads the bytes of a file; `path` is for errors.
    pub fn of_bytes(path: &Path, bytes: &[u8]) -> Result<Events> {
        let mut events = Events::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = bytes.len() - rest.len();
            let wrong = |what: &str| Error::damaged(path, format!("byte {at}: {what}"));
            let Some((head, after)) = rest.split_first_chunk::<12>() else {
                events.torn = true;
                break;
            };
            let (length, sum) = (number::<8>(&head[..8]), number::<4>(&head[8..]));
            if sum != u64::from(masked(&head[..8])) {
                return Err(wrong(match at {
                    0 => "is no event file of TensorBoard: its first sum is wrong",
                    _ => "the sum of a record's length is wrong: the file was altered",
                }));
            }
            let end = usize::try_from(length).ok().and_then(|length| length.checked_add(4));
            let Some((record, after)) = end.and_then(|end| after.split_at_checked(end)) else {
                events.torn = true;
                break;
            };
            let (event, sum) = record.split_at(record.len() - 4);
            if number::<4>(sum) != u64::from(masked(event)) {
                return Err(wrong("the sum of a record is wrong: the file was altered"));
            }
            events.event(event).ok_or_else(|| wrong("the record is no event"))?;
            rest = after;
        }
        Ok(events)
    }

    /// `Event`: step is 2, summary 5.
    fn event(&mut self, bytes: &[u8]) -> Option<()> {
        let (mut step, mut summary) = (0, None);
        for one in fields(bytes) {
            match one? {
                (2, Value::Varint(number)) => step = number,
                (5, Value::Bytes(bytes)) => summary = Some(bytes),
                _ => {}
            }
        }
        // `Summary`: value is 1.
        for one in fields(summary.unwrap_or_default()) {
            if let (1, Value::Bytes(value)) = one? {
                self.value(value, step)?;
            }
        }
        Some(())
    }

    /// `Summary.Value`: tag is 1, simple_value 2, tensor 8, metadata 9.
    fn value(&mut self, bytes: &[u8], step: u64) -> Option<()> {
        let (mut tag, mut simple, mut tensor, mut metadata) = (String::new(), None, None, None);
        for one in fields(bytes) {
            match one? {
                (1, value) => tag = value.text()?,
                (2, Value::Fixed32(bytes)) => simple = Some(f64::from(f32::from_le_bytes(bytes))),
                (8, value) => tensor = value.bytes(),
                (9, value) => metadata = value.bytes(),
                _ => {}
            }
        }
        // `SummaryMetadata`: plugin_data is 1, of which plugin_name is 1 and content 2.
        let plugin = metadata.and_then(|bytes| field(bytes, 1)?.bytes());
        let named = plugin.and_then(|bytes| field(bytes, 1)?.text());
        if named.as_deref() == Some("hparams") {
            self.hparams(plugin.and_then(|bytes| field(bytes, 2)?.bytes()).unwrap_or_default());
        } else if let Some(value) = simple.or_else(|| scalar(tensor?)) {
            self.scalars.push(Scalar { tag, step, value });
        } else if let Some(text) = tensor.and_then(|bytes| field(bytes, 8)?.text()) {
            let name = tag.strip_suffix(TEXT).unwrap_or(&tag);
            self.settings.insert(name.into(), text.trim().into());
        }
        Some(())
    }

    /// `HParamsPluginData`: session_start_info is 3, of which hparams is 1, a map of names to values.
    fn hparams(&mut self, bytes: &[u8]) {
        let start = field(bytes, 3).and_then(Value::bytes).unwrap_or_default();
        for (number, entry) in fields(start).map_while(|one| one) {
            let (1, Some(entry)) = (number, entry.bytes()) else { continue };
            let name = field(entry, 1).and_then(Value::text);
            let value = field(entry, 2).and_then(Value::bytes).and_then(|bytes| {
                // `google.protobuf.Value`: number_value is 2, string_value 3, bool_value 4.
                fields(bytes).map_while(|one| one).find_map(|one| match one {
                    (2, Value::Fixed64(bytes)) => Some(f64::from_le_bytes(bytes).to_string()),
                    (3, value) => value.text(),
                    (4, Value::Varint(flag)) => Some((flag != 0).to_string()),
                    _ => None,
                })
            });
            if let (Some(name), Some(value)) = (name, value) {
                self.settings.insert(name, value);
            }
        }
    }
}

/// A little-endian number of at most eight bytes.
fn number<const N: usize>(bytes: &[u8]) -> u64 {
    bytes.iter().take(N).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The one number of a `TensorProto`: dtype is 1; tensor_content 4, float_val 5, double_val 6, int_val 7,
/// int64_val 10, packed or not. `None` of anything else, strings and images for example.
fn scalar(bytes: &[u8]) -> Option<f64> {
    let Some(Value::Varint(dtype)) = field(bytes, 1) else { return None };
    let content = field(bytes, 4).and_then(Value::bytes).filter(|content| !content.is_empty());
    let typed = |number| match field(bytes, number)? {
        Value::Bytes(packed) => Some(packed.to_vec()),
        Value::Fixed32(bytes) => Some(bytes.to_vec()),
        Value::Fixed64(bytes) => Some(bytes.to_vec()),
        Value::Varint(_) => None,
    };
    let raw = |number| content.map(<[u8]>::to_vec).or_else(|| typed(number));
    let whole = |number| match (content, field(bytes, number)?) {
        (_, Value::Varint(value)) => Some(value as i64),
        (None, Value::Bytes(mut packed)) => {
            varint(&mut packed).filter(|_| packed.is_empty()).map(|x| x as i64)
        }
        _ => None,
    };
    match dtype {
        1 => Some(f64::from(f32::from_le_bytes(raw(5)?.try_into().ok()?))),
        2 => Some(f64::from_le_bytes(raw(6)?.try_into().ok()?)),
        3 => match content {
            Some(content) => Some(f64::from(i32::from_le_bytes(content.try_into().ok()?))),
            None => Some(f64::from(whole(7)? as i32)),
        },
        9 => match content {
            Some(content) => Some(i64::from_le_bytes(content.try_into().ok()?) as f64),
            None => whole(10).map(|x| x as f64),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::tensorboard::{EventWriter, framed};
    use proptest::prelude::*;

    fn path() -> &'static Path {
        Path::new("events.out.tfevents.1")
    }

    fn written() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::new(&Files::new(), folder.path(), 0.0).unwrap();
        writer.scalar("loss", 300, 1.5, 2.0).unwrap();
        writer.scalar("train/tokens", 300, 1e6, 2.0).unwrap();
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        std::fs::read(path).unwrap()
    }

    /// A field of bytes.
    fn put(number: u8, value: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, value.len() as u8], value].concat()
    }

    /// An event with a value of these parts, at step 7.
    fn event(value: &[u8]) -> Vec<u8> {
        framed(&[&[2 << 3, 7], &put(5, &put(1, value))[..]].concat())
    }

    #[test]
    fn what_is_written_is_read() {
        let events = Events::of_bytes(path(), &written()).unwrap();
        let scalar = |tag: &str, value| Scalar { tag: tag.into(), step: 300, value };
        assert_eq!(events.scalars, [scalar("loss", 1.5), scalar("train/tokens", 1e6)]);
        assert!(!events.torn && events.settings.is_empty());
    }

    /// Field numbers and types are those of `tensor.proto`, `summary.proto`, `plugin_data.proto` and `struct.proto`.
    #[test]
    fn tensors_settings_and_texts_are_read() {
        let tensor = |dtype: u8, rest: Vec<u8>| put(8, &[&[1 << 3, dtype], &rest[..]].concat());
        let forms: Vec<(Vec<u8>, f64)> = vec![
            (tensor(1, put(5, &2.5f32.to_le_bytes())), 2.5),
            (tensor(1, put(4, &2.5f32.to_le_bytes())), 2.5),
            (tensor(1, [&[5 << 3 | 5], &2.5f32.to_le_bytes()[..]].concat()), 2.5),
            (tensor(2, put(4, &0.1f64.to_le_bytes())), 0.1),
            (tensor(3, vec![7 << 3, 42]), 42.0),
            (tensor(9, put(10, &[42])), 42.0),
            (tensor(9, put(4, &42i64.to_le_bytes())), 42.0),
        ];
        for (form, want) in forms {
            let events = Events::of_bytes(path(), &event(&[put(1, b"x"), form].concat())).unwrap();
            assert_eq!(events.scalars, [Scalar { tag: "x".into(), step: 7, value: want }]);
        }
        let text = tensor(7, put(8, b"7e9"));
        let events =
            Events::of_bytes(path(), &event(&[put(1, b"params/text_summary"), text].concat())).unwrap();
        assert_eq!(events.settings["params"], "7e9");
        let number = put(2, &[&[2 << 3 | 1], &1.25e8f64.to_le_bytes()[..]].concat());
        let entry = put(1, &[put(1, b"n_params"), number].concat());
        let content = put(2, &put(3, &entry));
        let metadata = put(9, &put(1, &[put(1, b"hparams"), content].concat()));
        let events = Events::of_bytes(path(), &event(&[put(1, b"_hparams_/x"), metadata].concat())).unwrap();
        assert_eq!(events.settings["n_params"], "125000000");
        assert!(events.scalars.is_empty());
    }

    #[test]
    fn what_was_altered_is_named_and_what_was_cut_off_is_torn() {
        let bytes = written();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 0x10;
            let said = Events::of_bytes(path(), &altered).unwrap_err().to_string();
            assert!(said.contains("byte ") && said.contains("sum"), "{at}: {said}");
            let events = Events::of_bytes(path(), &bytes[..at]).unwrap();
            assert!(events.scalars.len() <= 2);
        }
        assert!(Events::of_bytes(path(), &bytes[..bytes.len() - 1]).unwrap().torn);
        assert!(
            Events::of_bytes(path(), b"step,loss\n1,2\n").unwrap_err().to_string().contains("no event file")
        );
        assert!(Events::of_bytes(path(), &framed(b"\x12\xff")).unwrap_err().to_string().contains("no event"));
    }

    proptest! {
        #[test]
        fn any_bytes_in_a_sound_frame_give_events_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..100), framing in any::<bool>(),
        ) {
            let bytes = if framing { event(&bytes[..bytes.len().min(60)]) } else { bytes };
            let _ = Events::of_bytes(path(), &bytes);
            let _ = scalar(&bytes);
        }
    }
}
