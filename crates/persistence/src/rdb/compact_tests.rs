//! Flat encodings as they should be, cut, and of any bytes.

use super::*;
use proptest::prelude::*;
use redoubt_store::packed::Packed;

fn texts(values: &[PackedValue<'_>]) -> Vec<Vec<u8>> {
    values.iter().map(PackedValue::to_vec).collect()
}

fn framed(packed: &Packed) -> Vec<u8> {
    let mut blob = (packed.byte_len() as u32 + 7).to_le_bytes().to_vec();
    blob.extend_from_slice(&(packed.len() as u16).to_le_bytes());
    blob.extend_from_slice(packed.as_encoded());
    blob.push(END);
    blob
}

proptest! {
    #[test]
    fn listpacks_of_the_store_are_read(elements in prop::collection::vec(
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            any::<i64>().prop_map(|value| value.to_string().into_bytes()),
            any::<i16>().prop_map(|value| value.to_string().into_bytes()),
            (4000usize..20_000).prop_map(|len| vec![b'x'; len]),
            (16_370usize..16_390).prop_map(|len| vec![b'x'; len]),
        ], 0..40)
    ) {
        let mut packed = Packed::new();
        elements.iter().for_each(|text| packed.push_back(text));
        let blob = framed(&packed);
        prop_assert_eq!(texts(&listpack(&blob).expect("as written")), elements);
        for cut in 0..blob.len().min(200) {
            prop_assert!(listpack(&blob[..cut]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_survived(blob in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = (listpack(&blob).is_ok(), ziplist(&blob).is_ok(), zipmap(&blob).is_ok(), intset(&blob).is_ok());
    }

    #[test]
    fn any_body_in_a_right_frame_is_survived(body in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut blob = (body.len() as u32 + 7).to_le_bytes().to_vec();
        blob.extend_from_slice(&[0xFF, 0xFF]);
        blob.extend_from_slice(&body);
        blob.push(END);
        let _ = listpack(&blob).is_ok();
        let mut blob = (body.len() as u32 + 11).to_le_bytes().to_vec();
        blob.extend_from_slice(&[0, 0, 0, 0, 0xFF, 0xFF]);
        blob.extend_from_slice(&body);
        blob.push(END);
        let _ = ziplist(&blob).is_ok();
    }
}

/// A ziplist of elements given as tag and payload.
fn make_ziplist(elements: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut previous = 0;
    for element in elements {
        let start = body.len();
        if previous < 254 {
            body.push(previous as u8);
        } else {
            body.push(0xFE);
            body.extend_from_slice(&(previous as u32).to_le_bytes());
        }
        body.extend_from_slice(element);
        previous = body.len() - start;
    }
    let mut blob = (body.len() as u32 + 11).to_le_bytes().to_vec();
    blob.extend_from_slice(&0u32.to_le_bytes());
    blob.extend_from_slice(&(elements.len() as u16).to_le_bytes());
    blob.extend_from_slice(&body);
    blob.push(END);
    blob
}

#[test]
fn every_element_of_a_ziplist() {
    let middle = [&[0x41, 0x2C][..], &[b'm'; 300]].concat();
    let long = [&[0x80, 0, 0, 0x4E, 0x20][..], &[b'l'; 20_000]].concat();
    let blob = make_ziplist(&[
        b"\x03abc",
        &middle,
        &long,
        b"\xC0\xFE\xFF",
        b"\xD0\x00\x00\x01\x00",
        b"\xE0\x00\x00\x00\x00\x00\x00\x00\x80",
        b"\xF0\x00\x00\x80",
        b"\xFE\x80",
        b"\xF1",
        b"\xFD",
    ]);
    let read = texts(&ziplist(&blob).expect("right"));
    let ints = ["-2", "65536", "-9223372036854775808", "-8388608", "-128", "0", "12"];
    let expected = [b"abc".to_vec(), vec![b'm'; 300], vec![b'l'; 20_000]].into_iter();
    let expected: Vec<Vec<u8>> = expected.chain(ints.map(|int| int.as_bytes().to_vec())).collect();
    assert_eq!(read, expected);
    for cut in (0..blob.len()).step_by(7) {
        assert!(ziplist(&blob[..cut]).is_err());
    }
}

#[test]
fn zipmaps() {
    let mut blob = b"\x02\x03foo\x03\x02bar..\x00\xFE\x04\x01\x00\x00\x00".to_vec();
    blob.extend_from_slice(&[b'v'; 260]);
    blob.push(END);
    let expected = [b"foo".to_vec(), b"bar".to_vec(), Vec::new(), vec![b'v'; 260]];
    assert_eq!(texts(&zipmap(&blob).expect("right")), expected);
    for cut in 0..blob.len() {
        assert!(zipmap(&blob[..cut]).is_err());
    }
}

#[test]
fn intsets_of_every_width() {
    assert_eq!(intset(b"\x02\0\0\0\x02\0\0\0\xFF\xFF\x01\0"), Ok(vec![-1, 1]));
    assert_eq!(intset(b"\x04\0\0\0\x01\0\0\0\0\0\x01\0"), Ok(vec![65536]));
    assert_eq!(intset(b"\x08\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\x80"), Ok(vec![i64::MIN]));
    assert!(intset(b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0").is_err());
    assert!(intset(b"\x03\0\0\0\x00\0\0\0").is_err());
    assert!(intset(b"\x02\0\0\0\xFF\xFF\xFF\xFF\x01\0").is_err());
}
