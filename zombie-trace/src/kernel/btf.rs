//! A cheap reader of BTF, the kernel's own type information.
//!
//! It answers the few questions that [`super::offsets`] asks: where a member is, how large a type is, what value an
//! enumerator has, how many parameters a function takes. It does not print types, resolve relocations or read split
//! BTF (modules).
//!
//! Why not `btf-rs`: it indexes every name of the kernel, which takes some 100 ms, a noticeable delay at start. Here
//! one pass over the type section notes where each type begins, and a second one compares names with the few that are
//! wanted. Nothing else is indexed or copied. For 6.18's 5.5 MB that is 1 ms per pass, besides the 1 to 4 ms that the
//! kernel takes to provide the file.
//!
//! On corrupt bytes the reader returns an error or finds nothing; it neither panics nor loops. Every read is
//! bounds-checked, and chains of modifiers and nested members have a limit.
//!
//! Layout of the format: `Documentation/bpf/btf.rst` and `include/uapi/linux/btf.h` in the kernel's source.

mod error;
mod kind;

pub use error::BtfError;
pub use kind::Kind;

use std::fs;
use std::ops::Range;
use std::path::Path;

/// BTF of the running kernel (`CONFIG_DEBUG_INFO_BTF`).
pub const RUNNING_KERNEL: &str = "/sys/kernel/btf/vmlinux";

pub(super) const MAGIC: u16 = 0xeb9f;
pub(super) const VERSION: u8 = 1;
/// Bytes of the header that every version has.
pub(super) const HEADER_LEN: usize = 24;
/// Bytes of `struct btf_type`, which begins every type.
const TYPE_LEN: usize = 12;
/// Longest chain of typedefs and qualifiers that is followed. The kernel's longest is below ten.
const MAX_CHAIN: u32 = 32;
/// Most members that one lookup visits, so that it ends on corrupt types that contain themselves. `task_struct` has
/// ~300.
const MAX_MEMBERS: u32 = 100_000;
/// Deepest nesting of anonymous members that is followed.
const MAX_NESTING: u32 = 16;

/// Number of a type; 0 is `void`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// One type of the type section.
#[derive(Clone, Copy, Debug)]
pub struct Type<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Offset of its name in the string section; 0 for an anonymous type.
    pub name_offset: u32,
    /// Number of members, enumerators or parameters.
    pub vlen: u32,
    /// The kind's flag: for a struct or union, that member offsets carry bitfield sizes.
    pub flag: bool,
    /// Size in bytes, or the number of the type it refers to, depending on the kind.
    pub size_or_type: u32,
    /// The kind's own data after the common part.
    pub trailer: &'a [u8],
}

impl<'a> Type<'a> {
    /// The trailer's elements, `N` words each.
    fn elements<const N: usize>(self) -> impl Iterator<Item = [u32; N]> + 'a {
        self.trailer.chunks_exact(N * 4).map(|chunk| {
            let mut words = [0; N];
            for (word, bytes) in words.iter_mut().zip(chunk.chunks_exact(4)) {
                *word = bytes.iter().rev().fold(0, |value, byte| (value << 8) | u32::from(*byte));
            }
            words
        })
    }
}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Bits from the start of the outermost struct.
    pub bit_offset: u32,
    /// Width in bits if it is a bitfield.
    pub bit_size: Option<u32>,
    /// Its type, with typedefs and qualifiers.
    pub type_id: TypeId,
}

impl Field {
    /// Bytes from the start of the outermost struct to the byte in which the member begins.
    pub fn byte_offset(self) -> u32 {
        self.bit_offset / 8
    }
}

/// Type information of one kernel.
pub struct Btf {
    data: Vec<u8>,
    /// Where each type begins in `data`; element 0 is type 1.
    types: Vec<u32>,
    strings: Range<usize>,
}

impl Btf {
    /// Reads the BTF of the running kernel.
    ///
    /// # Errors
    /// See [`BtfError`]; [`BtfError::Read`] if the kernel has none.
    pub fn running() -> Result<Self, BtfError> {
        Self::read(Path::new(RUNNING_KERNEL))
    }

    /// Reads a file that holds a `.BTF` section.
    ///
    /// # Errors
    /// See [`BtfError`].
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        Self::parse(fs::read(path).map_err(|source| BtfError::Read { path: path.to_path_buf(), source })?)
    }

    /// Takes the bytes of a `.BTF` section and notes where each type begins.
    ///
    /// # Errors
    /// The header is corrupt, or a type has an unknown kind or is truncated. References between types are only checked
    /// when they are looked up.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let (section, strings) = sections(&data)?;
        // A type takes 26 bytes on average (6.18); reserving a little too much is cheaper than growing.
        let mut types = Vec::with_capacity(section.len() / 24);
        let mut at = section.start;
        while at < section.end {
            let truncated = BtfError::Truncated { what: "a type", len: data.len() };
            let Some(info) = word(&data, at + 4) else { return Err(truncated) };
            let id = u32::try_from(types.len() + 1).unwrap_or(u32::MAX);
            let kind = kind_of(info);
            let kind = Kind::from_raw(kind).ok_or(BtfError::Kind { id, kind })?;
            let (fixed, each) = kind.trailer();
            let end = at + TYPE_LEN + fixed + each * vlen_of(info) as usize;
            match u32::try_from(at) {
                Ok(start) if end <= section.end => types.push(start),
                _ => return Err(truncated),
            }
            at = end;
        }
        Ok(Self { data, types, strings })
    }

    /// Number of types without `void`: the highest [`TypeId`].
    pub fn len(&self) -> u32 {
        // Cannot truncate: every type takes 12 bytes of a section whose length is a u32.
        u32::try_from(self.types.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is no type at all.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The type of this number; `None` for `void` and for a number that does not exist.
    pub fn get(&self, id: TypeId) -> Option<Type<'_>> {
        let index = usize::try_from(id.0.checked_sub(1)?).ok()?;
        let at = usize::try_from(*self.types.get(index)?).ok()?;
        let info = word(&self.data, at + 4)?;
        let kind = Kind::from_raw(kind_of(info))?;
        let (fixed, each) = kind.trailer();
        let vlen = vlen_of(info);
        let start = at + TYPE_LEN;
        Some(Type {
            kind,
            name_offset: word(&self.data, at)?,
            vlen,
            flag: info >> 31 == 1,
            size_or_type: word(&self.data, at + 8)?,
            trailer: self.data.get(start..start + fixed + each * vlen as usize)?,
        })
    }

    /// The string at an offset of the string section, without its NUL.
    pub fn string(&self, offset: u32) -> Option<&[u8]> {
        let rest = self.strings_from(offset)?;
        rest.get(..rest.iter().position(|byte| *byte == 0)?)
    }

    /// Finds types by kind and name in one pass; the answers are in the order of `wanted`. If a kernel has several
    /// types of one kind and name, the first counts.
    pub fn find(&self, wanted: &[(Kind, &str)]) -> Vec<Option<TypeId>> {
        let mut found = vec![None; wanted.len()];
        for (id, &at) in (1..).zip(&self.types) {
            let at = at as usize;
            let Some(kind) = word(&self.data, at + 4).and_then(|info| Kind::from_raw(kind_of(info))) else { continue };
            // Skips the name comparison for kinds that are not wanted: most types are functions.
            if !wanted.iter().any(|(wanted, _)| *wanted == kind) {
                continue;
            }
            let Some(name) = word(&self.data, at).and_then(|offset| self.strings_from(offset)) else { continue };
            for ((wanted_kind, wanted_name), slot) in wanted.iter().zip(&mut found) {
                if slot.is_none() && *wanted_kind == kind && is_string(name, wanted_name) {
                    *slot = Some(TypeId(id));
                }
            }
        }
        found
    }

    /// Finds a member by its dotted path, for example `ns.inum`. Each part may lie in anonymous structs and unions;
    /// between the parts are structs or unions by value, never pointers. `None` if the path does not exist.
    pub fn field(&self, owner: TypeId, path: &str) -> Option<Field> {
        let mut budget = MAX_MEMBERS;
        let mut field = Field { bit_offset: 0, bit_size: None, type_id: owner };
        for part in path.split('.') {
            let member = self.member(field.type_id, part, MAX_NESTING, &mut budget)?;
            field = Field { bit_offset: field.bit_offset.checked_add(member.bit_offset)?, ..member };
        }
        Some(field)
    }

    fn member(&self, owner: TypeId, name: &str, nesting: u32, budget: &mut u32) -> Option<Field> {
        let (_, owner) = self.strip_modifiers(owner)?;
        if !matches!(owner.kind, Kind::Struct | Kind::Union) {
            return None;
        }
        for [name_offset, type_id, offset] in owner.elements() {
            *budget = budget.checked_sub(1)?;
            let type_id = TypeId(type_id);
            let (bit_offset, bit_size) = if owner.flag { (offset & 0xff_ffff, offset >> 24) } else { (offset, 0) };
            if name_offset != 0 {
                if self.strings_from(name_offset).is_some_and(|found| is_string(found, name)) {
                    let field = Field { bit_offset, bit_size: (bit_size != 0).then_some(bit_size), type_id };
                    return if owner.flag { Some(field) } else { self.int_bitfield(field) };
                }
            } else if let Some(nesting) = nesting.checked_sub(1)
                && let Some(inner) = self.member(type_id, name, nesting, budget)
            {
                return Some(Field { bit_offset: bit_offset.checked_add(inner.bit_offset)?, ..inner });
            }
        }
        None
    }

    /// Without the kind's flag, a bitfield is a member whose integer type says that it does not fill its bytes.
    fn int_bitfield(&self, field: Field) -> Option<Field> {
        let Some((_, int)) = self.strip_modifiers(field.type_id).filter(|(_, inner)| inner.kind == Kind::Int) else {
            return Some(field);
        };
        let [encoding] = int.elements().next()?;
        let (offset, bits) = ((encoding >> 16) & 0xff, encoding & 0xff);
        if offset == 0 && u64::from(bits) == u64::from(int.size_or_type) * 8 {
            return Some(field);
        }
        Some(Field { bit_offset: field.bit_offset.checked_add(offset)?, bit_size: Some(bits), ..field })
    }

    /// Follows typedefs, qualifiers and tags to the type that they stand for. `None` for `void`.
    pub fn strip_modifiers(&self, mut id: TypeId) -> Option<(TypeId, Type<'_>)> {
        for _ in 0..MAX_CHAIN {
            let found = self.get(id)?;
            match found.kind {
                Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => {
                    id = TypeId(found.size_or_type);
                }
                _ => return Some((id, found)),
            }
        }
        None
    }

    /// What a pointer points to, after typedefs and qualifiers of the pointer; `None` if it is not a pointer.
    pub fn pointee(&self, id: TypeId) -> Option<TypeId> {
        let (_, pointer) = self.strip_modifiers(id)?;
        (pointer.kind == Kind::Ptr).then_some(TypeId(pointer.size_or_type))
    }

    /// Element type and number of elements of an array; a flexible array has 0.
    pub fn array(&self, id: TypeId) -> Option<(TypeId, u32)> {
        let (_, array) = self.strip_modifiers(id)?;
        let [element, _index, count] = array.elements().next()?;
        (array.kind == Kind::Array).then_some((TypeId(element), count))
    }

    /// Size of a type in bytes, on a 64-bit kernel; `None` for types without one.
    pub fn size(&self, id: TypeId) -> Option<u32> {
        let mut id = id;
        let mut elements = 1_u32;
        for _ in 0..MAX_CHAIN {
            let (peeled, found) = self.strip_modifiers(id)?;
            let size = match found.kind {
                Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float => found.size_or_type,
                Kind::Ptr => 8,
                Kind::Array => {
                    let (element, count) = self.array(peeled)?;
                    elements = elements.checked_mul(count)?;
                    id = element;
                    continue;
                }
                _ => return None,
            };
            return size.checked_mul(elements);
        }
        None
    }

    /// Value of an enumerator of an enum of 32 or 64 bits, as stored (sign-extended for 32).
    pub fn enumerator(&self, id: TypeId, name: &str) -> Option<i64> {
        let (_, found) = self.strip_modifiers(id)?;
        let is_wanted = |offset| self.strings_from(offset).is_some_and(|found| is_string(found, name));
        match found.kind {
            Kind::Enum => found
                .elements()
                .find(|[name, _]| is_wanted(*name))
                .map(|[_, value]| if found.flag { i64::from(value.cast_signed()) } else { i64::from(value) }),
            Kind::Enum64 => found
                .elements()
                .find(|[name, _, _]| is_wanted(*name))
                .map(|[_, low, high]| ((u64::from(high) << 32) | u64::from(low)).cast_signed()),
            _ => None,
        }
    }

    /// How many parameters a function prototype has.
    pub fn parameters(&self, id: TypeId) -> Option<u32> {
        let (_, prototype) = self.strip_modifiers(id)?;
        (prototype.kind == Kind::FuncProto).then_some(prototype.vlen)
    }

    fn strings_from(&self, offset: u32) -> Option<&[u8]> {
        let start = self.strings.start.checked_add(usize::try_from(offset).ok()?)?;
        self.data.get(start..self.strings.end)
    }
}

/// Checks the header and finds the type section and the string section.
fn sections(data: &[u8]) -> Result<(Range<usize>, Range<usize>), BtfError> {
    let truncated = |what| BtfError::Truncated { what, len: data.len() };
    let header = data.get(..HEADER_LEN).ok_or(truncated("the header"))?;
    let magic = u16::from_le_bytes([header[0], header[1]]);
    if magic == MAGIC.swap_bytes() {
        return Err(BtfError::BigEndian);
    }
    if magic != MAGIC {
        return Err(BtfError::Magic(magic));
    }
    if header[2] != VERSION {
        return Err(BtfError::Version(header[2]));
    }
    let header_word = |at| word(header, at).map(u64::from).ok_or(truncated("the header"));
    let header_len = header_word(4)?;
    // Sections are counted from the end of the header. A longer header of a later kernel is only skipped.
    let section = |what, offset: u64, len: u64| {
        let start = header_len + offset;
        let end = start + len;
        if header_len < HEADER_LEN as u64 || end > data.len() as u64 {
            return Err(truncated(what));
        }
        // Cannot fail: both are at most the length of a slice.
        match (usize::try_from(start), usize::try_from(end)) {
            (Ok(start), Ok(end)) => Ok(start..end),
            _ => Err(truncated(what)),
        }
    };
    Ok((
        section("the type section", header_word(8)?, header_word(12)?)?,
        section("the string section", header_word(16)?, header_word(20)?)?,
    ))
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

// Bits 16 to 23 and 29 to 30 of `info` have been 0 so far; reading them with their neighbours would support a widening
// of the two numbers.
fn vlen_of(info: u32) -> u32 {
    info & 0xff_ffff
}

fn kind_of(info: u32) -> u8 {
    (info >> 24 & 0x7f) as u8
}

/// Whether the NUL-terminated string at the start of `bytes` is `name`.
fn is_string(bytes: &[u8], name: &str) -> bool {
    bytes.get(name.len()) == Some(&0) && bytes.starts_with(name.as_bytes())
}

#[cfg(test)]
#[path = "btf_tests.rs"]
pub(super) mod tests;
