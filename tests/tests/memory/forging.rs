//! Recordings as somebody might make them who wants to harm who reads them: every checksum fits.

pub(crate) use super::framing::frame;

/// The header of a recording of this version, as JSON.
fn header() -> Vec<u8> {
    serde_json::to_vec(&zombie_trace::recording::Header::of_this_version()).expect("it can be written")
}

/// LEB128.
pub(crate) fn number(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f | 0x80).expect("it is below 256"));
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("it is below 128"));
    out
}

/// The body of a batch: columns by their numbers.
pub(crate) fn body(columns: &[(usize, &[u8])]) -> Vec<u8> {
    let mut body = number(columns.len());
    for (id, column) in columns {
        body.extend(number(*id));
        body.extend(number(column.len()));
    }
    columns.iter().for_each(|(_, column)| body.extend_from_slice(column));
    body
}

/// A recording of these bodies, a frame each.
pub(crate) fn recording<'a>(bodies: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut file = frame(1, &header(), 21);
    bodies.into_iter().for_each(|body| file.extend(frame(2, body, 21)));
    file
}

/// A recording of these context events as JSON, so many to a frame.
pub(crate) fn context(events: &[String], to_a_frame: usize) -> Vec<u8> {
    let bodies: Vec<Vec<u8>> = events
        .chunks(to_a_frame)
        .map(|events| {
            let script: Vec<u8> = events.iter().flat_map(|event| [number(2), number(event.len())].concat()).collect();
            body(&[(0, &script), (1, events.concat().as_bytes())])
        })
        .collect();
    recording(bodies.iter().map(Vec::as_slice))
}
