//! Generated BTF for aya, which looks up a function by name although its number is already known.

use std::collections::BTreeMap;

use super::btf::{HEADER_LEN, MAGIC, TypeId, VERSION};

/// BTF that contains only these functions, with these numbers.
pub fn of_functions(functions: &BTreeMap<&str, TypeId>) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let last = functions.values().max().map_or(0, |id| id.0 as usize);
    let (forward_declaration, function) = (7 << 24, 12 << 24);
    let mut types = vec![[0, forward_declaration, 0]; last];
    let mut strings = vec![0];
    for (name, id) in functions {
        if let Some(place) = id.0.checked_sub(1) {
            types[place as usize] = [length(&strings), function, 0];
            strings.extend(name.bytes().chain([0]));
        }
    }
    let types: Vec<u8> = types.into_iter().flatten().flat_map(u32::to_le_bytes).collect();
    let [type_length, string_length] = [&types, &strings].map(|section| length(section));
    let first = u32::from(MAGIC) | u32::from(VERSION) << 16;
    let header = [first, HEADER_LEN as u32, 0, type_length, type_length, string_length];
    header.into_iter().flat_map(u32::to_le_bytes).chain(types).chain(strings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::btf::{Btf, Kind};

    #[test]
    fn functions_have_the_numbers_that_they_are_given() {
        let functions =
            BTreeMap::from([("release_task", TypeId(60_000)), ("do_exit", TypeId(1)), ("do_wait", TypeId(7))]);
        let bytes = of_functions(&functions);
        let btf = Btf::parse(bytes.clone()).unwrap();
        for (name, id) in functions {
            assert_eq!(btf.find(&[(Kind::Func, name)]), [Some(id)]);
        }
        assert_eq!(btf.len(), 60_000);
        // It must be readable by aya.
        for bytes in [bytes, of_functions(&BTreeMap::new())] {
            aya::Btf::parse(&bytes, aya::Endianness::default()).unwrap();
        }
    }
}
