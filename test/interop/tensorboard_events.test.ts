import assert from "node:assert/strict";
import { crc32c, eventFile } from "../../src/interop/tensorboard_events.js";

describe("TensorBoard event files", () => {
  it("have the checksum of RFC 3720", () => {
    // RFC 3720, appendix B.4, and the check value of the polynomial's catalogue entry (CRC-32/ISCSI).
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
    assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
  });

  it("hold the bytes that TensorFlow writes", () => {
    // tensorboard 2.21 FileWriter/summary protobufs, serialised in Python: Event(wall_time=1.5, file_version="brain.Event:2")
    // and Event(wall_time=2.25, step=300, summary=Summary(value=[Summary.Value(tag="train/loss", simple_value=0.5)])).
    const expected = [
      "09000000000000f83f1a0d627261696e2e4576656e743a32",
      "09000000000000024010ac022a130a110a0a747261696e2f6c6f7373150000003f",
    ];
    const events = [{ tag: "train/loss", step: 300, wallSeconds: 2.25, value: 0.5 }];
    const bytes = eventFile(events);
    const records: string[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = Number(bytes.readBigUInt64LE(at));
      records.push(bytes.subarray(at + 12, at + 12 + length).toString("hex"));
      at += 16 + length;
    }
    // The version record carries the time of the first scalar.
    assert.deepEqual(records, [expected[0]!.replace("000000000000f83f", "0000000000000240"), expected[1]]);
  });
});
