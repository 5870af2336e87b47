//! The examples of RFC 7541 appendix C, what is malformed, and another decoder as the oracle.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// One whole block; `None` where it stops in the middle of a field.
fn block(decoder: &mut Decoder, bytes: &[u8]) -> Result<Option<Fields>, HpackError> {
    let mut fields = Vec::new();
    let taken = decoder.decode(bytes, &mut |found| match found {
        Found::Field { name, value, .. } => fields.push((name.to_vec(), value.to_vec())),
        Found::TooLong(name) => fields.push((name.to_vec(), b"(too long)".to_vec())),
    })?;
    Ok((decoder.end_block() && taken == bytes.len()).then_some(fields))
}

fn text(fields: &Fields) -> String {
    let line = |(n, v): &(Vec<u8>, Vec<u8>)| String::from_utf8([n, &b"="[..], v].concat()).unwrap();
    fields.iter().map(line).collect::<Vec<_>>().join(" ")
}

fn read(decoder: &mut Decoder, hex: &str) -> String {
    text(&block(decoder, &bytes(hex)).unwrap().expect("it is whole"))
}

fn error(hex: &str) -> HpackError {
    block(&mut Decoder::new(0), &bytes(hex)).unwrap_err()
}

#[test]
fn rfc_7541_c2_representations() {
    let mut decoder = Decoder::new(0);
    assert_eq!(
        read(&mut decoder, "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"),
        "custom-key=custom-header"
    );
    assert_eq!(read(&mut decoder, "be"), "custom-key=custom-header", "the first dynamic entry");
    assert_eq!(
        read(&mut decoder, "040c 2f73 616d 706c 652f 7061 7468"),
        ":path=/sample/path",
        "without indexing"
    );
    assert_eq!(read(&mut decoder, "1008 7061 7373 776f 7264 0673 6563 7265 74"), "password=secret");
    assert_eq!(read(&mut decoder, "82"), ":method=GET");
}

#[test]
fn rfc_7541_c4_requests_with_huffman() {
    let mut decoder = Decoder::new(0);
    assert_eq!(
        read(&mut decoder, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"),
        ":method=GET :scheme=http :path=/ :authority=www.example.com"
    );
    assert_eq!(
        read(&mut decoder, "8286 84be 5886 a8eb 1064 9cbf"),
        ":method=GET :scheme=http :path=/ :authority=www.example.com cache-control=no-cache"
    );
    assert_eq!(
        read(&mut decoder, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"),
        ":method=GET :scheme=https :path=/index.html :authority=www.example.com custom-key=custom-value"
    );
}

#[test]
fn rfc_7541_c6_entries_are_evicted() {
    let mut decoder = Decoder::new(0);
    // As if the table had 256 bytes from the start.
    assert_eq!(
        read(
            &mut decoder,
            "3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
             2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3"
        ),
        ":status=302 cache-control=private date=Mon, 21 Oct 2013 20:13:21 GMT location=https://www.example.com"
    );
    assert_eq!(
        read(&mut decoder, "4883 640e ffc1 c0bf"),
        ":status=307 cache-control=private date=Mon, 21 Oct 2013 20:13:21 GMT location=https://www.example.com"
    );
    // 62 to 65 are there; the first `:status` is not.
    assert_eq!(block(&mut decoder, &bytes("c2")), Err(HpackError::Index));
}

#[test]
fn what_is_malformed_is_an_error() {
    assert_eq!(error("80"), HpackError::Index, "0");
    assert_eq!(error("be"), HpackError::Index, "nothing is there yet");
    assert_eq!(error("7e00"), HpackError::Index, "a name that is not there");
    assert_eq!(error("ffffffffff7f"), HpackError::Integer);
    assert_eq!(error("ff80808080 80 00"), HpackError::Integer, "zeros without end");
    assert_eq!(error("3fe2 1f"), HpackError::TableSize, "4,097");
    assert_eq!(error("82 20"), HpackError::TableSize, "not at the begin");
    assert_eq!(error("00 84 ffffffff 00"), HpackError::Huffman, "the end of a string");
    assert_eq!(error("00 82 1fff 00"), HpackError::Huffman, "a byte of padding");
    assert_eq!(error("00 81 18 00"), HpackError::Huffman, "padding of zeros");
}

#[test]
fn a_block_that_stops_short_is_not_whole() {
    for hex in ["40", "4001", "400161", "40016102", "4001610262", "ff", "3f", "7f", "00 8261"] {
        assert_eq!(block(&mut Decoder::new(0), &bytes(hex)), Ok(None), "{hex}");
    }
}

#[test]
fn a_table_of_no_size_keeps_nothing() {
    let mut decoder = Decoder::new(0);
    assert_eq!(read(&mut decoder, "20 4001 6101 62"), "a=b");
    assert_eq!(block(&mut decoder, &bytes("be")), Err(HpackError::Index));
}

#[test]
fn what_is_too_long_is_passed_over_in_step() {
    let long = MAY_BE_IN_TABLE + 1;
    for (name, value, shown) in [(1, long, "a"), (long, 1, ""), (long, long, "")] {
        let mut decoder = Decoder::new(0);
        read(&mut decoder, "4001 7801 79");
        let mut coded = BytesMut::new();
        encode(&b"a".repeat(name), &b"b".repeat(value), false, &mut coded);
        coded[0] = 0x40;
        coded.extend_from_slice(&bytes("4001 6301 64"));
        assert_eq!(
            text(&block(&mut decoder, &coded).unwrap().unwrap()),
            format!("{shown}=(too long) c=d")
        );
        // It emptied the table; what came after it is there.
        assert_eq!(read(&mut decoder, "be"), "c=d");
        assert_eq!(block(&mut decoder, &bytes("bf")), Err(HpackError::Index));
    }
}

/// The verdict of the other decoder, without what it is more lenient about.
fn other(blocks: &[Vec<u8>]) -> Option<Vec<Fields>> {
    let mut decoder = loona_hpack::Decoder::new();
    decoder.set_max_allowed_table_size(table::SIZE);
    blocks.iter().map(|block| decoder.decode(block).ok()).collect()
}

fn ours(blocks: &[Vec<u8>]) -> Option<Vec<Fields>> {
    let mut decoder = Decoder::new(0);
    blocks.iter().map(|bytes| block(&mut decoder, bytes).ok().flatten()).collect()
}

#[test]
fn every_byte_has_its_code() {
    // The other end's Huffman decoder reads what ours does, byte for byte and for each pair.
    let mut decoder = loona_hpack::huffman::HuffmanDecoder::new();
    for first in 0..=255_u8 {
        for second in [0, first, 0xaa, 0xff] {
            for coded in
                [vec![first, second, 0xff, 0xff], vec![first, second], vec![second, first, 0x7f]]
            {
                let mut text = Vec::new();
                let is_ok = huffman::decode(&coded, &mut text).is_ok();
                let other = decoder.decode(&coded);
                assert_eq!(is_ok.then_some(text), other.ok(), "{coded:x?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_another_decoder_reads_them(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 1..4),
    ) {
        if let Some(fields) = ours(&blocks) {
            // The other one refuses a change of size at the end of a block.
            if let Some(others) = other(&blocks) {
                prop_assert_eq!(fields, others);
            }
        }
    }

    #[test]
    fn huffman_code_is_read_as_another_decoder_reads_it(
        coded in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let mut decoded = Vec::new();
        let is_ok = huffman::decode(&coded, &mut decoded).is_ok();
        let other = loona_hpack::huffman::HuffmanDecoder::new().decode(&coded);
        prop_assert_eq!(is_ok.then_some(decoded), other.ok());
    }

    #[test]
    fn fields_come_out_as_they_went_in_however_the_block_is_cut(
        fields in prop::collection::vec(
            ("[a-z:-]{0,12}", prop::collection::vec(any::<u8>(), 0..200)), 0..12,
        ),
        cut in 1_usize..40,
    ) {
        let plain: Fields =
            fields.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
        let borrowed: Vec<(&[u8], &[u8])> =
            plain.iter().map(|(n, v)| (n.as_slice(), v.as_slice())).collect();
        let mut encoder = loona_hpack::Encoder::new();
        let mut decoder = Decoder::new(0);
        // Twice: the second time from the table.
        for _ in 0..2 {
            let coded = encoder.encode(borrowed.iter().copied());
            let (mut seen, mut held): (Fields, Vec<u8>) = (Vec::new(), Vec::new());
            for piece in coded.chunks(cut) {
                held.extend_from_slice(piece);
                let taken = decoder.decode(&held, &mut |found| {
                    if let Found::Field { name, value, .. } = found {
                        seen.push((name.to_vec(), value.to_vec()));
                    }
                }).unwrap();
                held.drain(..taken);
            }
            prop_assert!(held.is_empty() && decoder.end_block());
            prop_assert_eq!(&seen, &plain);
        }
    }

    #[test]
    fn what_is_written_is_read_by_another_decoder(
        name in "[a-z-]{1,300}",
        value in prop::collection::vec(any::<u8>(), 0..400),
        never_indexed in any::<bool>(),
    ) {
        let mut coded = BytesMut::new();
        encode(name.as_bytes(), &value, never_indexed, &mut coded);
        prop_assert_eq!(other(&[coded.to_vec()]), Some(vec![vec![(name.into_bytes(), value)]]));
    }
}
