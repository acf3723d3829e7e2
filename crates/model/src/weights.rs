//! Weights as safetensors, one file or many: streamed in and out, so that a model is never in memory twice.
//!
//! A file is eight bytes of length, a JSON header with the type, shape and place of each tensor, and
//! the numbers (github.com/huggingface/safetensors, "Format"). Nothing in it is trusted: places must lie
//! one behind the other, fill the file, and agree with the shapes.

use crate::Error;
use engine::Store;
use half::{bf16, f16};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};

/// What numbers are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Storage {
    /// 32-bit float.
    F32,
    /// Brain float.
    #[serde(rename = "BF16")]
    Bf16,
    /// Half float.
    F16,
}

impl Storage {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Storage::F32 => 4,
            Storage::Bf16 | Storage::F16 => 2,
        }
    }

    /// As `config.json` calls it.
    pub fn torch_name(self) -> &'static str {
        match self {
            Storage::F32 => "float32",
            Storage::Bf16 => "bfloat16",
            Storage::F16 => "float16",
        }
    }

    /// Appends the bytes of the numbers, rounded to nearest even.
    pub fn encode(self, numbers: &[f32], bytes: &mut Vec<u8>) {
        match self {
            Storage::F32 => numbers.iter().for_each(|x| bytes.extend(x.to_le_bytes())),
            Storage::Bf16 => numbers.iter().for_each(|&x| bytes.extend(bf16::from_f32(x).to_le_bytes())),
            Storage::F16 => numbers.iter().for_each(|&x| bytes.extend(f16::from_f32(x).to_le_bytes())),
        }
    }

    /// Appends the numbers of the bytes.
    pub fn decode(self, bytes: &[u8], numbers: &mut Vec<f32>) {
        let pairs = || bytes.as_chunks::<2>().0.iter();
        match self {
            Storage::F32 => numbers.extend(bytes.as_chunks::<4>().0.iter().map(|&x| f32::from_le_bytes(x))),
            Storage::Bf16 => numbers.extend(pairs().map(|&x| bf16::from_le_bytes(x).to_f32())),
            Storage::F16 => numbers.extend(pairs().map(|&x| f16::from_le_bytes(x).to_f32())),
        }
    }
}

/// A tensor's entry in the header.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Numbers that are in flight between a store and a file.
pub(crate) const CHUNK: usize = 1 << 16;

/// Longest header accepted, as in the reference implementation.
const LONGEST_HEADER: u64 = 100_000_000;

/// Writes tensors of a store, named with a prefix, in the order of its layout.
pub fn write(out: &mut dyn Write, stores: &[(&str, &Store)], storage: Storage) -> std::io::Result<()> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({"format": "pt"}));
    let mut end = 0;
    let tensors =
        || stores.iter().flat_map(|(prefix, store)| store.layout().names().map(move |n| (prefix, *store, n)));
    for (prefix, store, name) in tensors() {
        let shape = store.layout().shape(name).unwrap_or_default();
        let start = end;
        end += shape.iter().product::<usize>() * storage.bytes();
        let entry = serde_json::json!({"dtype": storage, "shape": shape, "data_offsets": [start, end]});
        header.insert(format!("{prefix}{name}"), entry);
    }
    let mut header = serde_json::to_vec(&header)?;
    // Padded so that the numbers are aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (_, store, name) in tensors() {
        each_chunk(store, name, |numbers, bytes| {
            storage.encode(numbers, bytes);
            out.write_all(bytes)
        })?;
    }
    Ok(())
}

/// Refuses numbers that a file would not hold: what is no number, and what is infinite when stored as `storage`
/// says for a shape.
///
/// # Errors
/// Names the first such tensor.
pub fn check(store: &Store, storage: &dyn Fn(&[usize]) -> Storage) -> Result<(), Error> {
    for name in store.layout().names() {
        let storage = storage(store.layout().shape(name).unwrap_or_default());
        let (mut stored, mut found) = (Vec::new(), None);
        each_chunk(store, name, |numbers, bytes| {
            storage.encode(numbers, bytes);
            stored.clear();
            storage.decode(bytes, &mut stored);
            let bad = numbers.iter().zip(&stored).find(|(_, stored)| !stored.is_finite());
            found = found.or(bad.map(|(number, _)| *number));
            Ok(())
        })?;
        let reason = match found {
            None => continue,
            Some(number) if number.is_finite() => {
                format!(
                    "{number:e} is beyond the largest {}; bf16 and f32 hold larger ones",
                    storage.torch_name()
                )
            }
            Some(number) => format!("it holds {number}; export a checkpoint from before the run diverged"),
        };
        return Err(Error::Field { name: format!("tensor {name}"), reason });
    }
    Ok(())
}

/// Calls `each` with pieces of a tensor and an empty buffer.
pub(crate) fn each_chunk(
    store: &Store,
    name: &str,
    mut each: impl FnMut(&[f32], &mut Vec<u8>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let len: usize = store.layout().shape(name).unwrap_or_default().iter().product();
    let (mut numbers, mut bytes) = (vec![0.0; len.min(CHUNK)], Vec::new());
    for start in (0..len).step_by(CHUNK) {
        let piece = &mut numbers[..CHUNK.min(len - start)];
        store.read_at(name, start, piece).map_err(std::io::Error::other)?;
        bytes.clear();
        each(piece, &mut bytes)?;
    }
    Ok(())
}

/// Reads one file of `length` bytes into the stores: a tensor belongs to the store whose prefix it has
/// and which knows its name. Returns the names (with prefix) that were read, and those that no store knows.
pub fn read(
    file: &str,
    mut from: impl Read,
    length: u64,
    stores: &mut [(&str, &mut Store)],
) -> Result<(BTreeSet<String>, BTreeSet<String>), Error> {
    let wrong = |what: String| Error::Weights { file: file.into(), reason: what };
    let io = |e: std::io::Error| wrong(format!("cannot be read: {e}"));
    let mut size = [0; 8];
    if length < 8 {
        return Err(wrong(format!("it has {length} bytes and is no safetensors file")));
    }
    from.read_exact(&mut size).map_err(io)?;
    let size = u64::from_le_bytes(size);
    if size > LONGEST_HEADER || size > length - 8 {
        return Err(wrong(format!(
            "its header of {size} bytes does not fit into the file: truncated, or no safetensors"
        )));
    }
    let mut header = vec![0; size as usize];
    from.read_exact(&mut header).map_err(io)?;
    let header: HashMap<String, serde_json::Value> =
        serde_json::from_slice(&header).map_err(|e| wrong(format!("its header is no JSON: {e}")))?;
    let mut entries = Vec::new();
    for (name, value) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
        let entry: Entry = serde_json::from_value(value).map_err(|e| wrong(format!("tensor {name}: {e}")))?;
        entries.push((name, entry));
    }
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let (mut read, mut unknown, mut at) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (name, entry) in entries {
        let (start, end) = entry.data_offsets;
        if start != at || end < start || end > length - 8 - size {
            return Err(wrong(format!(
                "tensor {name} lies at {start}..{end}, not behind its neighbour or not in the file"
            )));
        }
        at = end;
        let today = today(&name);
        let target = stores.iter_mut().find_map(|(prefix, store)| {
            let inner = today.strip_prefix(*prefix)?;
            store.layout().shape(inner).is_some().then_some((inner, store))
        });
        let Some((inner, store)) = target else {
            std::io::copy(&mut (&mut from).take(end - start), &mut std::io::sink()).map_err(io)?;
            unknown.insert(name);
            continue;
        };
        let storage = match entry.dtype.as_str() {
            "F32" => Storage::F32,
            "BF16" => Storage::Bf16,
            "F16" => Storage::F16,
            other => {
                return Err(wrong(format!(
                    "tensor {name} is of type {other}; F32, BF16 and F16 can be read"
                )));
            }
        };
        let expected = store.layout().shape(inner).unwrap_or_default();
        if expected != entry.shape {
            return Err(wrong(format!(
                "tensor {name} has shape {:?}, the configuration says {expected:?}",
                entry.shape
            )));
        }
        let len: usize = expected.iter().product();
        if (end - start) as usize != len * storage.bytes() {
            return Err(wrong(format!(
                "tensor {name} has {} bytes, {} expected",
                end - start,
                len * storage.bytes()
            )));
        }
        let (mut bytes, mut numbers) = (vec![0; len.min(CHUNK) * storage.bytes()], Vec::new());
        for start in (0..len).step_by(CHUNK) {
            let piece = &mut bytes[..CHUNK.min(len - start) * storage.bytes()];
            from.read_exact(piece).map_err(io)?;
            numbers.clear();
            storage.decode(piece, &mut numbers);
            store.write_at(inner, start, &numbers)?;
        }
        read.insert(today.into_owned());
    }
    if at != length - 8 - size {
        return Err(wrong(format!("{} bytes follow the last tensor", length - 8 - size - at)));
    }
    Ok((read, unknown))
}

/// What a tensor is called in `transformers` today: LLaVA's files have the names of before its version 5.
fn today(name: &str) -> Cow<'_, str> {
    const OLDER: [(&str, &str); 6] = [
        ("language_model.model.", "model.language_model."),
        ("language_model.lm_head.", "lm_head."),
        ("vision_tower.vision_model.", "model.vision_tower."),
        ("model.vision_tower.vision_model.", "model.vision_tower."),
        ("vision_tower.", "model.vision_tower."),
        ("multi_modal_projector.", "model.multi_modal_projector."),
    ];
    let known = OLDER.iter().find_map(|(old, new)| Some(format!("{new}{}", name.strip_prefix(old)?)));
    known.map_or(Cow::Borrowed(name), Cow::Owned)
}

/// A file of a model's folder, with its length.
pub type Opened = (Box<dyn Read>, u64);

/// Reads a model's weights from `model.safetensors`, or from the files of
/// `model.safetensors.index.json`. `open` returns `None` for a file that does not exist. Every
/// parameter must come exactly once, and nothing else may, but for what carries no weights.
pub fn load(
    params: &mut Store,
    open: &mut dyn FnMut(&str) -> std::io::Result<Option<Opened>>,
) -> Result<(), Error> {
    const SINGLE: &str = "model.safetensors";
    const INDEX: &str = "model.safetensors.index.json";
    let mut open = |file: &str| {
        open(file).map_err(|e| Error::Weights { file: file.into(), reason: format!("cannot be opened: {e}") })
    };
    let files: Vec<String> = match open(INDEX)? {
        None => vec![SINGLE.into()],
        Some((from, _)) => {
            #[derive(Deserialize)]
            struct Index {
                weight_map: BTreeMap<String, String>,
            }
            let index: Index =
                serde_json::from_reader(from.take(LONGEST_HEADER)).map_err(Error::json(INDEX))?;
            let files: BTreeSet<String> = index.weight_map.into_values().collect();
            if let Some(file) = files.iter().find(|file| file.contains(['/', '\\'])) {
                let reason = format!("it names the file {file}, which is not beside it");
                return Err(Error::Weights { file: INDEX.into(), reason });
            }
            files.into_iter().collect()
        }
    };
    let mut seen = BTreeSet::new();
    for file in &files {
        let missing = || Error::Weights { file: file.clone(), reason: "there is no such file".into() };
        let (from, length) = open(file)?.ok_or_else(missing)?;
        let (read, unknown) = read(file, from, length, &mut [("", params)])?;
        if let Some(twice) = read.iter().find(|name| seen.contains(*name)) {
            return Err(Error::Weights { file: file.clone(), reason: format!("tensor {twice} came before") });
        }
        seen.extend(read);
        let tied = params.layout().shape("lm_head.weight").is_none();
        // Older checkpoints carry the rotary frequencies, and tied ones at times the head.
        let harmless =
            |name: &str| name.ends_with("rotary_emb.inv_freq") || (tied && name == "lm_head.weight");
        if let Some(name) = unknown.iter().find(|name| !harmless(name)) {
            let reason = format!("tensor {name} has no place in the architecture that config.json states");
            return Err(Error::Weights { file: file.clone(), reason });
        }
    }
    let missing = params.layout().names().find(|name| !seen.contains(*name)).map(String::from);
    match missing {
        None => Ok(()),
        Some(name) => {
            Err(Error::Weights { file: files.join(", "), reason: format!("tensor {name} is missing") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Layout;
    use proptest::prelude::*;
    use safetensors::SafeTensors;
    use std::io::Cursor;
    use std::sync::Arc;

    fn store(scale: f32) -> Store {
        let layout = Layout::new([("a", &[3, 5][..]), ("b", &[7]), ("big", &[300, 301])]).unwrap();
        let mut store = Store::new(&Arc::new(layout)).unwrap();
        for name in ["a", "b", "big"] {
            let len = store.get(name).unwrap().len();
            let values: Vec<f32> = (0..len).map(|i| scale * ((i * 37 % 1009) as f32 - 500.3)).collect();
            store.write(name, &values).unwrap();
        }
        store
    }

    fn bytes(storage: Storage) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, &[("", &store(0.37))], storage).unwrap();
        bytes
    }

    fn load_bytes(bytes: &[u8], into: &mut Store) -> Result<(), Error> {
        load(into, &mut |file| {
            Ok((file == "model.safetensors")
                .then(|| (Box::new(Cursor::new(bytes.to_vec())) as Box<dyn Read>, bytes.len() as u64)))
        })
    }

    #[test]
    fn the_reference_reads_what_is_written() {
        let written = bytes(Storage::F32);
        let file = SafeTensors::deserialize(&written).unwrap();
        for name in ["a", "b", "big"] {
            let tensor = file.tensor(name).unwrap();
            let numbers: Vec<f32> =
                tensor.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            assert_eq!(numbers, store(0.37).get(name).unwrap());
            assert_eq!(tensor.shape(), store(0.37).layout().shape(name).unwrap());
        }
    }

    #[test]
    fn what_is_written_is_read_in_every_storage() {
        for storage in [Storage::F32, Storage::Bf16, Storage::F16] {
            let mut got = store(0.0);
            load_bytes(&bytes(storage), &mut got).unwrap();
            for name in ["a", "b", "big"] {
                let expected = store(0.37).get(name).unwrap();
                let expected = expected.iter().map(|&x| match storage {
                    Storage::F32 => x,
                    Storage::Bf16 => bf16::from_f32(x).to_f32(),
                    Storage::F16 => f16::from_f32(x).to_f32(),
                });
                assert!(got.get(name).unwrap().into_iter().eq(expected), "{storage:?} {name}");
            }
        }
    }

    #[test]
    fn shards_are_joined_and_every_tensor_comes_once() {
        let part = |names: &[&str]| {
            let whole = store(0.37);
            let layout = Layout::new(names.iter().map(|n| (*n, whole.layout().shape(n).unwrap()))).unwrap();
            let mut part = Store::new(&Arc::new(layout)).unwrap();
            names.iter().for_each(|n| part.write(n, &whole.get(n).unwrap()).unwrap());
            let mut bytes = Vec::new();
            write(&mut bytes, &[("", &part)], Storage::F32).unwrap();
            bytes
        };
        let index = |second: &str| {
            format!(r#"{{"weight_map": {{"a": "1", "b": "{second}", "big": "{second}"}}}}"#).into_bytes()
        };
        let load = |files: Vec<(&str, Vec<u8>)>| {
            let mut got = store(0.0);
            load(&mut got, &mut |name| {
                let found = files.iter().find(|(file, _)| *file == name);
                Ok(found.map(|(_, b)| (Box::new(Cursor::new(b.clone())) as Box<dyn Read>, b.len() as u64)))
            })
            .map(|()| got)
        };
        let name = "model.safetensors.index.json";
        let got = load(vec![(name, index("2")), ("1", part(&["a"])), ("2", part(&["b", "big"]))]).unwrap();
        assert_eq!(got.get("big").unwrap(), store(0.37).get("big").unwrap());
        let text = |files| load(files).unwrap_err().to_string();
        assert!(
            text(vec![(name, index("2")), ("1", part(&["a"])), ("2", part(&["a", "b", "big"]))])
                .contains("a came before")
        );
        assert!(
            text(vec![(name, index("2")), ("1", part(&["a"])), ("2", part(&["b"]))])
                .contains("big is missing")
        );
        assert!(text(vec![(name, index("2")), ("1", part(&["a"]))]).contains("2: there is no such file"));
        assert!(text(vec![(name, index("../2")), ("1", part(&["a"]))]).contains("not beside it"));
        assert!(text(vec![]).contains("model.safetensors: there is no such file"));
    }

    #[test]
    fn what_a_file_would_not_hold_is_refused_by_name() {
        let with = |name: &str, place: usize, value: f32| {
            let mut store = store(0.37);
            store.write_at(name, place, &[value]).unwrap();
            store
        };
        let said = |store: Store, storage| check(&store, &|_| storage).map_err(|e| e.to_string());
        assert_eq!(said(store(0.37), Storage::F16), Ok(()));
        // The largest half float, and what still rounds to it.
        assert_eq!(said(with("big", 90_000, 65519.0), Storage::F16), Ok(()));
        let error = said(with("big", 90_000, -65520.0), Storage::F16).unwrap_err();
        assert!(error.contains("tensor big") && error.contains("-6.552e4"), "{error}");
        for storage in [Storage::F32, Storage::Bf16] {
            assert_eq!(said(with("big", 90_000, -65520.0), storage), Ok(()));
        }
        assert!(said(with("a", 1, f32::MAX), Storage::Bf16).unwrap_err().contains("tensor a"));
        for value in [f32::NAN, f32::INFINITY] {
            let error = said(with("b", 6, value), Storage::F32).unwrap_err();
            assert!(error.contains("tensor b") && error.contains(&value.to_string()), "{error}");
        }
        // By shape.
        let norms = |shape: &[usize]| if shape.len() == 1 { Storage::F32 } else { Storage::F16 };
        assert!(check(&with("b", 6, 1e5), &norms).is_ok() && check(&with("a", 6, 1e5), &norms).is_err());
    }

    proptest! {
        /// Foreign bytes are refused or read, never trusted.
        #[test]
        fn altered_headers_do_no_harm(cut in 0usize..400, place in 0usize..300, byte: u8) {
            let mut altered = bytes(Storage::F32);
            let len = altered.len();
            altered[place] = byte;
            let _ = load_bytes(&altered, &mut store(0.0));
            altered.truncate(if cut < 350 { cut } else { len - cut });
            prop_assert!(load_bytes(&altered, &mut store(0.0)).is_err());
        }
    }
}
