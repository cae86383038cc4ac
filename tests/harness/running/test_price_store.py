"""Remembered prices: round trip, damage, and a cache that cannot be written."""

from hessbench.running.price_store import PastPrediction, Place, PriceStore
from hessbench.workers.price_messages import BlockPrice, BuiltPrice

PLACE = Place("a[n=10]", "cpu", "float32", 2)
BUILT = BuiltPrice(kind_of_product="ggn", dim=10, engine="rules", build_s=0.5, build_peak_bytes=None, operator_bytes=8,
                   base_bytes=None, bandwidth=1e9)  # fmt: skip
BLOCK = BlockPrice(kind_of_product="ggn", width=4, seconds=0.25, working_bytes=8)


def test_what_is_kept_is_read_again_and_another_place_knows_nothing(tmp_path):
    store = PriceStore(tmp_path / "new" / "prices.jsonl")
    store.add(PLACE, [BUILT, BLOCK], 0.25, [("m", "trace", 4)])
    store.miss("key", PastPrediction(1.0, 2.0, 10, 5))
    again = PriceStore(store.file)
    known = again.of(PLACE)
    assert (known.start_s, known.built, known.blocks) == (0.25, BUILT, {"ggn": {4: BLOCK}})
    assert known.tried == {("m", "trace", 4)}
    assert (again.misses["key"].seconds_ratio, again.misses["key"].bytes_ratio) == (2.0, 0.5)
    assert again.of(Place("a[n=10]", "cpu", "float64", 2)).built is None


def test_a_later_measurement_takes_the_place_of_the_one_before(tmp_path):
    store = PriceStore(tmp_path / "prices.jsonl")
    store.add(PLACE, [BUILT, BLOCK])
    other = BlockPrice(kind_of_product="ggn", width=1, seconds=1.0, working_bytes=None)
    store.add(PLACE, [BUILT, other])
    assert PriceStore(store.file).of(PLACE).blocks == {"ggn": {1: other}}


def test_damaged_lines_and_those_of_another_version_cost_only_themselves(tmp_path):
    store = PriceStore(tmp_path / "prices.jsonl")
    store.add(PLACE, [BUILT, BLOCK])
    text = store.file.read_text()
    torn = ['{"what": "built", "pla', "[]", "3", "{}", '{"what": "surprise", "place": {}}', "\0",
            '{"what": "miss", "key": "k", "measured": {"predicted_s": "x"}}']  # fmt: skip
    store.file.write_text("\n".join([*torn, text]))
    assert PriceStore(store.file).of(PLACE).built == BUILT


def test_a_file_that_grew_long_forgets_its_older_half(tmp_path, monkeypatch):
    monkeypatch.setattr("hessbench.running.price_store._MOST_LINES", 20)
    store = PriceStore(tmp_path / "prices.jsonl")
    for number in range(30):
        store.miss(str(number), PastPrediction(1.0, 2.0))
    assert set(PriceStore(store.file).misses) == {str(number) for number in range(20, 30)}
    assert len(store.file.read_text().splitlines()) == 10


def test_a_cache_that_cannot_be_written_keeps_prices_for_this_process(tmp_path):
    (tmp_path / "file").write_text("")
    store = PriceStore(tmp_path / "file" / "prices.jsonl")
    store.add(PLACE, [BUILT])
    assert store.of(PLACE).built == BUILT
