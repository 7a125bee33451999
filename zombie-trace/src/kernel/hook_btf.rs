//! Generated BTF for aya, which looks up by name what a program attaches to although its number is already known.

use super::{
    btf::{HEADER_LEN, MAGIC, TypeId, VERSION},
    offsets::{Resolved, TRACEPOINT_PREFIX},
};

/// Kinds of types in BTF (`include/uapi/linux/btf.h`).
const FORWARD_DECLARATION: u32 = 7;
const TYPEDEF: u32 = 8;
const FUNCTION: u32 = 12;

/// BTF that contains only the functions and tracepoints of this kernel, with their numbers.
pub fn of_hooks(kernel: &Resolved) -> Vec<u8> {
    let functions = kernel.functions.iter().map(|(name, id)| (FUNCTION, (*name).to_owned(), *id));
    let tracepoints = kernel.tracepoints.iter().map(|(name, id)| (TYPEDEF, format!("{TRACEPOINT_PREFIX}{name}"), *id));
    let named: Vec<_> = functions.chain(tracepoints).collect();
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let last = named.iter().map(|(_, _, id)| id.0 as usize).max().unwrap_or(0);
    let mut types = vec![[0, FORWARD_DECLARATION << 24, 0]; last];
    let mut strings = vec![0];
    for (kind, name, TypeId(id)) in named {
        if let Some(place) = id.checked_sub(1) {
            types[place as usize] = [length(&strings), kind << 24, 0];
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::kernel::btf::{Btf, Kind};

    fn kernel(
        functions: impl Into<BTreeMap<&'static str, TypeId>>,
        tracepoints: impl Into<BTreeMap<&'static str, TypeId>>,
    ) -> Resolved {
        Resolved { functions: functions.into(), tracepoints: tracepoints.into(), ..Resolved::default() }
    }

    #[test]
    fn hooks_have_the_numbers_that_they_are_given() {
        let functions = [("release_task", TypeId(60_000)), ("do_exit", TypeId(1)), ("do_wait", TypeId(7))];
        let bytes = of_hooks(&kernel(functions, [("signal_generate", TypeId(9))]));
        let btf = Btf::parse(bytes.clone()).unwrap();
        for (name, id) in functions {
            assert_eq!(btf.find(&[(Kind::Func, name)]), [Some(id)]);
        }
        assert_eq!(btf.find(&[(Kind::Typedef, "btf_trace_signal_generate")]), [Some(TypeId(9))]);
        assert_eq!(btf.len(), 60_000);
        // It must be readable by aya.
        for bytes in [bytes, of_hooks(&Resolved::default())] {
            aya::Btf::parse(&bytes, aya::Endianness::default()).unwrap();
        }
    }
}
