//! Reduces the BTF of a kernel to the types that zombie-trace looks at, for the test fixtures.
//!
//!     cargo run --example reduce_btf -- IN OUT
//!
//! IN is `/sys/kernel/btf/vmlinux`, or the `.BTF` section of an unpacked kernel
//! (`objcopy --dump-section .BTF=IN vmlinux /dev/null`). What is kept: the named types of
//! [`zombie_trace::kernel::offsets::roots`] with every member, and every type that those hold by value. Pointers lead
//! to `void`, but those from a tracepoint's typedef to its prototype. Types stay in the kernel's order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use zombie_trace::kernel::btf::{Btf, Kind, Type, TypeId};
use zombie_trace::kernel::offsets::{resolve, roots};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        eprintln!("usage: reduce_btf IN OUT");
        std::process::exit(2);
    };
    if let Err(error) = run(Path::new(input), Path::new(output)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run(input: &Path, output: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let btf = Btf::read(input)?;
    let blob = reduce(&btf);
    let full = resolve(&btf)?;
    if resolve(&Btf::parse(blob.clone())?)?.without_numbers() != full.clone().without_numbers() {
        return Err("the reduced BTF does not resolve as the full one does".into());
    }
    std::fs::write(output, blob)?;
    println!("{full:#?}");
    Ok(())
}

fn reduce(btf: &Btf) -> Vec<u8> {
    let mut kept = BTreeSet::new();
    let mut open = Vec::new();
    for ((kind, _), id) in roots().iter().zip(btf.find(&roots())) {
        let Some(id) = id else { continue };
        open.push(id);
        if *kind == Kind::Typedef
            && let Some(pointer) = btf.get(id).map(|typedef| TypeId(typedef.size_or_type))
            && let Some(prototype) = btf.pointee(pointer)
        {
            open.push(prototype);
        }
    }
    while let Some(id) = open.pop() {
        let Some(found) = btf.get(id) else { continue };
        if kept.insert(id) {
            open.extend(references(&found).into_iter().map(TypeId));
        }
    }

    let numbers: HashMap<u32, u32> = kept.iter().map(|id| id.0).zip(1..).collect();
    let mut names = Names::default();
    let mut types = Vec::new();
    for found in kept.iter().filter_map(|id| btf.get(*id)) {
        write_type(btf, &found, &numbers, &mut names, &mut types);
    }
    let mut blob = vec![0x9f, 0xeb, 1, 0];
    let (type_len, string_len) = (types.len() as u32, names.bytes.len() as u32);
    for word in [24, 0, type_len, type_len, string_len] {
        blob.extend(u32::to_le_bytes(word));
    }
    blob.extend(types);
    blob.extend(names.bytes);
    blob
}

/// Words of the trailer, and which of each element's words are a name and a type.
fn layout(found: &Type<'_>) -> (usize, Option<usize>, &'static [usize]) {
    match found.kind {
        Kind::Array => (3, None, &[0, 1]),
        Kind::Struct | Kind::Union => (3, Some(0), &[1]),
        Kind::FuncProto => (2, Some(0), &[1]),
        Kind::Enum => (2, Some(0), &[]),
        Kind::Enum64 => (3, Some(0), &[]),
        _ => (1, None, &[]),
    }
}

/// Whether the word after `info` is a type that belongs to this one.
fn refers(kind: Kind) -> bool {
    matches!(kind, Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag | Kind::FuncProto)
}

fn words(found: &Type<'_>) -> Vec<u32> {
    found.trailer.chunks_exact(4).filter_map(|word| word.try_into().ok().map(u32::from_le_bytes)).collect()
}

fn references(found: &Type<'_>) -> Vec<u32> {
    let (width, _, types) = layout(found);
    let mut references: Vec<u32> =
        words(found).chunks(width).flat_map(|element| types.iter().map(|index| element[*index])).collect();
    if refers(found.kind) {
        references.push(found.size_or_type);
    }
    references
}

fn write_type(btf: &Btf, found: &Type<'_>, numbers: &HashMap<u32, u32>, names: &mut Names, out: &mut Vec<u8>) {
    let number = |id: u32| numbers.get(&id).copied().unwrap_or(0);
    let info = found.vlen | (raw_kind(found.kind) << 24) | (u32::from(found.flag) << 31);
    let third = match found.kind {
        // A pointer to something that is kept by itself, too: only the tracepoints' prototypes matter.
        Kind::Ptr if btf.parameters(TypeId(found.size_or_type)).is_none() => 0,
        Kind::Ptr => number(found.size_or_type),
        kind if refers(kind) => number(found.size_or_type),
        _ => found.size_or_type,
    };
    let mut result = vec![names.put(btf, found.name_offset), info, third];
    let (width, name, types) = layout(found);
    for element in words(found).chunks(width) {
        result.extend(element.iter().enumerate().map(|(index, word)| {
            if name == Some(index) {
                names.put(btf, *word)
            } else if types.contains(&index) {
                number(*word)
            } else {
                *word
            }
        }));
    }
    out.extend(result.into_iter().flat_map(u32::to_le_bytes));
}

fn raw_kind(kind: Kind) -> u32 {
    // The variants are in the format's order, which begins with 1.
    kind as u32 + 1
}

/// The string section; offset 0 is the empty name.
struct Names {
    bytes: Vec<u8>,
    known: BTreeMap<Vec<u8>, u32>,
}

impl Default for Names {
    fn default() -> Self {
        Self { bytes: vec![0], known: BTreeMap::from([(Vec::new(), 0)]) }
    }
}

impl Names {
    fn put(&mut self, btf: &Btf, offset: u32) -> u32 {
        let name = btf.string(offset).unwrap_or_default();
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let at = self.bytes.len() as u32;
        self.bytes.extend(name);
        self.bytes.push(0);
        self.known.insert(name.to_vec(), at);
        at
    }
}
