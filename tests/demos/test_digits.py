"""The data of the digits demo."""

import numpy as np

from recurra.demos.digits_data import digit_rows, tables


def test_an_image_is_eight_rows_of_eight_and_its_pixels_are_the_same_numbers_as_one_vector():
    rows = digit_rows()
    assert {name: len(column) for name, column in rows.items()} == {"image": 1797, "pixels": 1797, "digit": 1797}
    assert rows["digit"][:3] == ["0", "1", "2"]
    for image, pixels in zip(rows["image"], rows["pixels"], strict=True):
        assert (image.shape, image.dtype, pixels.shape, pixels.dtype) == ((8, 8), np.float32, (1, 64), np.float32)
        np.testing.assert_array_equal(pixels[0], image.ravel())
    assert (np.min(rows["image"]), np.max(rows["image"])) == (0.0, 1.0)
    assert rows["image"][0][0].tolist() == [0.0, 0.0, 5 / 16, 13 / 16, 9 / 16, 1 / 16, 0.0, 0.0]


def test_the_cut_deals_every_image_once_and_every_digit_in_the_same_shares():
    parts = tables(0)
    dealt = sorted(image.tobytes() for part in parts for image in part["image"])
    assert dealt == sorted(image.tobytes() for image in digit_rows()["image"])
    whole = digit_rows()["digit"]
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        for digit in map(str, range(10)):
            assert abs(part["digit"].count(digit) - share * whole.count(digit)) <= 1


def test_the_seed_decides_the_cut():
    def test_images(seed):
        return [image.tobytes() for image in tables(seed)[2]["image"]]

    assert test_images(3) == test_images(3)
    assert test_images(3) != test_images(4)


def test_labels_stay_with_their_images():
    rows = digit_rows()
    known = {image.tobytes(): digit for image, digit in zip(rows["image"], rows["digit"], strict=True)}
    for part in tables(1):
        assert [known[image.tobytes()] for image in part["image"]] == part["digit"]
