use proptest::prelude::*;

use super::*;
use crate::kernel::{offsets, resolve};

const FIXTURE: &[u8] = include_bytes!("fixtures/btf-7.2.bin");

/// Builds BTF that no fixture has.
pub(in crate::kernel) struct Builder {
    types: Vec<u8>,
    count: u32,
    strings: Vec<u8>,
}

impl Builder {
    pub(in crate::kernel) fn new() -> Self {
        Self { types: Vec::new(), count: 0, strings: vec![0] }
    }

    pub(in crate::kernel) fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.as_bytes());
        self.strings.push(0);
        at
    }

    /// Adds a type; `info` is its kind, flag and number of elements.
    pub(in crate::kernel) fn add(&mut self, name: &str, info: (u32, bool, u32), third: u32, trailer: &[u32]) -> TypeId {
        let name = self.name(name);
        let (kind, flag, vlen) = info;
        let info = vlen | kind << 24 | u32::from(flag) << 31;
        self.types.extend([name, info, third].iter().chain(trailer).flat_map(|word| word.to_le_bytes()));
        self.count += 1;
        TypeId(self.count)
    }

    pub(in crate::kernel) fn int(&mut self, size: u32, bit_offset: u32, bits: u32) -> TypeId {
        self.add("int", (1, false, 0), size, &[bit_offset << 16 | bits])
    }

    pub(in crate::kernel) fn structure(&mut self, name: &str, flag: bool, members: &[(&str, TypeId, u32)]) -> TypeId {
        let members: Vec<u32> =
            members.iter().flat_map(|(name, id, offset)| [self.name(name), id.0, *offset]).collect();
        self.add(name, (4, flag, members.len() as u32 / 3), 64, &members)
    }

    pub(in crate::kernel) fn bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let header = [0x0001_eb9f, 24, 0, types, types, strings];
        let header = header.into_iter().flat_map(u32::to_le_bytes);
        header.chain(self.types.iter().copied()).chain(self.strings.iter().copied()).collect()
    }

    pub(in crate::kernel) fn btf(&self) -> Btf {
        Btf::parse(self.bytes()).unwrap()
    }
}

#[test]
fn members_are_found_through_anonymous_structs_and_dotted_paths() {
    let mut b = Builder::new();
    let int = b.int(4, 0, 32);
    let inner = b.structure("", false, &[("deep", int, 32)]);
    let union = b.add("", (5, false, 1), 8, &[0, inner.0, 64]);
    let named = b.structure("named", false, &[("first", int, 0), ("", union, 64)]);
    let typedef = b.add("named_t", (8, false, 0), named.0, &[]);
    let constant = b.add("", (10, false, 0), typedef.0, &[]);
    let tagged = b.add("tag", (18, false, 0), constant.0, &[]);
    let outer = b.structure("outer", false, &[("head", tagged, 128), ("tail", int, 512)]);
    let btf = b.btf();

    let offset = |path| btf.field(outer, path).map(Field::byte_offset);
    assert_eq!(offset("tail"), Some(64));
    assert_eq!(offset("head"), Some(16));
    assert_eq!(offset("head.first"), Some(16));
    assert_eq!(offset("head.deep"), Some(16 + 8 + 8 + 4));
    assert_eq!(offset("deep"), None, "a named member is not looked through");
    assert_eq!(offset("head.absent"), None);
    assert_eq!(offset("head.first.more"), None);
    assert_eq!(offset(""), None);
}

#[test]
fn bitfields_are_understood_in_both_encodings() {
    let mut b = Builder::new();
    let int = b.int(4, 0, 32);
    let three_bits = b.int(4, 5, 3);
    let new = b.structure("new", true, &[("whole", int, 32), ("bit", int, 1 << 24 | 43)]);
    let old = b.structure("old", false, &[("bits", three_bits, 64), ("whole", int, 32)]);
    let btf = b.btf();

    let field = |owner, path| btf.field(owner, path).map(|found| (found.bit_offset, found.bit_size));
    assert_eq!(field(new, "whole"), Some((32, None)));
    assert_eq!(field(new, "bit"), Some((43, Some(1))));
    assert_eq!(field(old, "bits"), Some((69, Some(3))));
    assert_eq!(field(old, "whole"), Some((32, None)));
}

#[test]
fn sizes_arrays_enums_and_prototypes_are_read() {
    let mut b = Builder::new();
    let int = b.int(4, 0, 32);
    let pointer = b.add("", (2, false, 0), int.0, &[]);
    let row = b.add("", (3, false, 0), 0, &[pointer.0, int.0, 3]);
    let table = b.add("", (3, false, 0), 0, &[row.0, int.0, 5]);
    let names = [b.name("minus"), b.name("large")];
    let signed = b.add("small", (6, true, 1), 4, &[names[0], u32::MAX]);
    let wide = b.add("wide", (19, false, 1), 8, &[names[1], 7, 1]);
    let prototype = b.add("", (13, false, 3), 0, &[0, 0, 0, pointer.0, 0, int.0]);
    let to_prototype = b.add("", (2, false, 0), prototype.0, &[]);
    let function = b.add("f", (8, false, 0), to_prototype.0, &[]);
    let forward = b.add("unknown", (7, false, 0), 0, &[]);
    let btf = b.btf();

    assert_eq!(btf.size(table), Some(120));
    assert_eq!(btf.array(table), Some((row, 5)));
    assert_eq!(btf.array(int), None);
    assert_eq!(btf.size(forward), None);
    assert_eq!(btf.size(TypeId(0)), None);
    assert_eq!(btf.enumerator(signed, "minus"), Some(-1));
    assert_eq!(btf.enumerator(wide, "large"), Some((1 << 32) + 7));
    assert_eq!(btf.enumerator(wide, "minus"), None);
    assert_eq!(btf.pointee(function), Some(prototype));
    assert_eq!(btf.parameters(prototype), Some(3));
    assert_eq!(btf.parameters(function), None);
}

#[test]
fn the_first_type_of_a_kind_and_name_is_found_and_prefixes_are_not() {
    let mut b = Builder::new();
    let forward = b.add("task", (7, false, 0), 0, &[]);
    b.structure("task_struct", false, &[]);
    let first = b.structure("task", false, &[]);
    b.structure("task", false, &[]);
    let btf = b.btf();

    let wanted = [(Kind::Struct, "task"), (Kind::Struct, "tas"), (Kind::Union, "task"), (Kind::Fwd, "task")];
    assert_eq!(btf.find(&wanted), [Some(first), None, None, Some(forward)]);
    assert_eq!(btf.len(), 4);
    assert!(!btf.is_empty());
}

#[test]
fn types_that_contain_themselves_end() {
    let mut b = Builder::new();
    let typedef = b.add("loop", (8, false, 0), 1, &[]);
    let members: Vec<_> = (0..1000).map(|_| ("", TypeId(2), 0)).collect();
    let nested = b.structure("nested", false, &members);
    let array = b.add("", (3, false, 0), 0, &[3, 3, 1]);
    let btf = b.btf();

    assert!(btf.strip_modifiers(typedef).is_none());
    assert_eq!(btf.field(typedef, "x"), None);
    assert_eq!(btf.field(nested, "x"), None);
    assert_eq!(btf.size(array), None);
}

#[test]
fn what_is_wrong_with_the_header_is_named() {
    let good = Builder::new().bytes();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Btf::parse(bytes).err().unwrap()
    };
    assert!(matches!(with(0, 0), BtfError::Magic(0xeb00)));
    assert!(matches!(with(2, 9), BtfError::Version(9)));
    assert!(matches!(with(4, 23), BtfError::Truncated { what: "the type section", .. }));
    assert!(matches!(with(15, 1), BtfError::Truncated { what: "the type section", .. }));
    assert!(matches!(with(20, 2), BtfError::Truncated { what: "the string section", .. }));

    let mut big = good.clone();
    big.swap(0, 1);
    assert!(matches!(Btf::parse(big), Err(BtfError::BigEndian)));
    assert!(matches!(Btf::parse(Vec::new()), Err(BtfError::Truncated { what: "the header", len: 0 })));

    let mut b = Builder::new();
    b.int(4, 0, 32);
    b.add("", (20, false, 0), 0, &[]);
    assert!(matches!(Btf::parse(b.bytes()), Err(BtfError::Kind { id: 2, kind: 20 })));
}

#[test]
fn a_longer_header_is_skipped() {
    let mut b = Builder::new();
    let structure = b.structure("some", false, &[]);
    let mut bytes = b.bytes();
    bytes[4] = 32;
    bytes.splice(24..24, [0xff; 8]);
    let btf = Btf::parse(bytes).unwrap();
    assert_eq!(btf.find(&[(Kind::Struct, "some")]), [Some(structure)]);
}

#[test]
fn a_missing_file_is_named() {
    let error = Btf::read(Path::new("/nonexistent/btf")).err().unwrap();
    assert_eq!(error.to_string(), "cannot read the kernel's type information from /nonexistent/btf");
}

/// Calls every function on corrupt BTF.
fn ask_everything(bytes: Vec<u8>) {
    let Ok(btf) = Btf::parse(bytes) else { return };
    let _ = resolve(&btf);
    for id in (0..=btf.len().min(400)).chain([u32::MAX]).map(TypeId) {
        let _ = (btf.size(id), btf.array(id), btf.pointee(id), btf.parameters(id), btf.enumerator(id, "pids_cgrp_id"));
        let _ = btf.get(id).map(|found| btf.string(found.name_offset));
    }
}

#[test]
fn a_torn_file_is_an_error_at_every_length() {
    for len in 0..FIXTURE.len() {
        assert!(matches!(Btf::parse(FIXTURE[..len].to_vec()), Err(BtfError::Truncated { .. })), "{len} bytes");
    }
    assert!(Btf::parse(FIXTURE.to_vec()).is_ok());
}

/// A type section that ends early, in the middle of a type, unknown to the header.
#[test]
fn a_torn_type_section_never_panics() {
    let type_len = u32::from_le_bytes(FIXTURE[12..16].try_into().unwrap());
    for len in (0..type_len).step_by(4) {
        let mut bytes = FIXTURE.to_vec();
        bytes[12..16].copy_from_slice(&len.to_le_bytes());
        if let Ok(btf) = Btf::parse(bytes) {
            let _ = resolve(&btf);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        ask_everything(bytes);
    }

    #[test]
    fn random_types_never_panic(words in proptest::collection::vec((0..40_u32, 0..24_u32, 0..4_u32, any::<u16>()), 1..64)) {
        let mut b = Builder::new();
        for (name, kind, vlen, rest) in words {
            let trailer = vec![u32::from(rest) % 64; (kind % 4 * vlen) as usize];
            let name = ["", "task_struct", "pid", "loop", "cgroup"][name as usize % 5];
            b.add(name, (kind, rest % 2 == 0, vlen), u32::from(rest) % 64, &trailer);
        }
        ask_everything(b.bytes());
    }

    #[test]
    fn damaged_bytes_never_panic(flips in proptest::collection::vec((0..FIXTURE.len(), 0..8_u32), 1..64)) {
        let mut bytes = FIXTURE.to_vec();
        for (at, bit) in flips {
            bytes[at] ^= 1 << bit;
        }
        ask_everything(bytes);
    }

    /// The header is a small part of the file, so it and the first types are hit on purpose.
    #[test]
    fn a_damaged_beginning_never_panics(at in 0..2048_usize, bytes in proptest::collection::vec(any::<u8>(), 1..8)) {
        let mut damaged = FIXTURE.to_vec();
        damaged[at..at + bytes.len()].copy_from_slice(&bytes);
        ask_everything(damaged);
    }
}

#[test]
fn the_kinds_are_in_the_order_of_the_format() {
    for raw in 0..=u8::MAX {
        if let Some(kind) = Kind::from_raw(raw) {
            assert_eq!(kind as u8 + 1, raw);
        }
    }
    assert!(
        offsets::roots().iter().all(|(kind, _)| matches!(kind, Kind::Struct | Kind::Enum | Kind::Typedef | Kind::Func))
    );
}
