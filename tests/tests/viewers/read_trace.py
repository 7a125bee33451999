"""What a Perfetto trace holds, by the definitions that Perfetto publishes; complaints about it, and its tracks, as JSON."""
import json
import sys

from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as schema


def unknown(message, path="trace"):
    found = [f"{path}: field {field.field_number}" for field in UnknownFieldSet(message)]
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            values = value if field.is_repeated else [value]
            found += [it for item in values for it in unknown(item, f"{path}.{field.name}")]
    return found


trace = schema.Trace()
trace.ParseFromString(open(sys.argv[1], "rb").read())
complaints = unknown(trace)
tracks, events, clocks = {}, {}, 0
for number, packet in enumerate(trace.packet):
    kind = packet.WhichOneof("data")
    if kind == "clock_snapshot":
        clocks += 1
        if {clock.clock_id for clock in packet.clock_snapshot.clocks} != {1, 6}:
            complaints.append("the clocks are not the boot clock and the wall clock")
    elif kind == "track_descriptor":
        track = packet.track_descriptor
        if track.parent_uuid and track.parent_uuid not in tracks:
            complaints.append(f"packet {number}: a track below one that is not known")
        tracks[track.uuid] = track
    elif kind == "track_event":
        if packet.track_event.track_uuid not in tracks:
            complaints.append(f"packet {number}: an event on a track that is not known")
        events.setdefault(packet.track_event.track_uuid, []).append((packet.timestamp, number, packet.track_event))
    else:
        complaints.append(f"packet {number}: {kind}")

Event = schema.TrackEvent
slices, instants, counters = [], [], {}
for uuid, on_track in events.items():
    # As the viewer sorts them.
    on_track.sort(key=lambda it: it[:2])
    begun = None
    for time, _, event in on_track:
        if event.type == Event.TYPE_SLICE_BEGIN:
            if begun is not None:
                complaints.append(f"track {uuid}: slices overlap")
            begun = (time, event)
        elif event.type == Event.TYPE_SLICE_END:
            if begun is None:
                complaints.append(f"track {uuid}: a slice ends that has not begun")
            else:
                notes = {it.name: it.string_value or it.uint_value for it in begun[1].debug_annotations}
                parent = tracks[tracks[uuid].parent_uuid].name
                slices.append({"name": begun[1].name, "parent": parent, "length_ns": time - begun[0], **notes})
            begun = None
        elif event.type == Event.TYPE_INSTANT:
            notes = {it.name: it.string_value or it.uint_value for it in event.debug_annotations}
            instants.append({"name": event.name, "track": tracks[uuid].name, **notes})
        elif event.type == Event.TYPE_COUNTER:
            if not tracks[uuid].HasField("counter"):
                complaints.append(f"track {uuid}: it counts, and is no counter")
            counters.setdefault(tracks[tracks[uuid].parent_uuid].name, []).append(event.counter_value)
    if begun is not None:
        complaints.append(f"track {uuid}: a slice does not end")

roots = [track.name for track in tracks.values() if not track.parent_uuid]
print(json.dumps({"complaints": complaints[:20], "clocks": clocks, "roots": roots, "slices": slices,
                  "instants": instants, "counters": counters}))
