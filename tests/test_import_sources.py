"""Where exports are found: files, folders, archives; what is never opened or refused; versions of one conversation."""

from __future__ import annotations

import io
import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from exported import EXPORTS, SPEAKERS, claude, counts, import_into, write_json, write_zip

from rct_lightning.corpus import sources
from rct_lightning.corpus.conversation import Tally
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.corpus.importing import import_corpus
from rct_lightning.dialogue import read_jsonl
from rct_lightning.errors import UserError

CLAUDE = (EXPORTS / "claude.json").read_text(encoding="utf-8")
GROK = (EXPORTS / "grok.json").read_text(encoding="utf-8")
POISON = "no JSON: whoever opens this fails"


def test_file_folder_archive_and_archive_in_a_folder_give_the_same_rows(tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    (folder / "conversations.json").write_text(CLAUDE, encoding="utf-8")
    packed = write_zip(tmp_path / "data-2026-batch-0000.zip", {"conversations.json": CLAUDE, "users.json": POISON})
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    write_zip(shelf / "conversations-000.zip", {"conversations.json": CLAUDE})
    outer = write_zip(tmp_path / "outer.zip", {"conversations-000.zip": (shelf / "conversations-000.zip").read_bytes()})
    found = [
        import_into(tmp_path / f"out{number}", path)[1]
        for number, path in enumerate([EXPORTS / "claude.json", folder, packed, shelf, outer])
    ]
    assert len(found[0]) == 5
    assert all(rows == found[0] for rows in found)


def test_several_sources_of_several_formats(tmp_path: Path) -> None:
    report, rows = import_into(tmp_path / "out", EXPORTS / "claude.json", EXPORTS / "grok.json", EXPORTS / "rows.jsonl")
    assert [(one.format, one.rows) for one in report.files] == [("claude", 5), ("grok", 3), ("rows", 4)]
    assert len(rows) == 12 == report.rows


@pytest.mark.parametrize(
    "name",
    [
        "users.json",
        "user.json",
        "Users.JSON",
        "prod-mc-auth-mgmt-api.json",
        "prod-mc-billing.json",
        "billing-info.json",
    ],
)
def test_private_files_are_never_opened(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real, real_zip = Path.open, zipfile.ZipFile.open

    def watched(self: Path, *args: Any, **options: Any) -> Any:
        opened.append(self.name)
        return real(self, *args, **options)

    def watched_zip(self: zipfile.ZipFile, entry: Any, *args: Any, **options: Any) -> Any:
        opened.append(entry if isinstance(entry, str) else entry.filename)
        return real_zip(self, entry, *args, **options)

    folder = tmp_path / "export"
    folder.mkdir()
    (folder / name).write_text(CLAUDE, encoding="utf-8")
    (folder / "prod-grok-backend.json").write_text(GROK, encoding="utf-8")
    packed = write_zip(tmp_path / "x.zip", {f"a/{name}": CLAUDE, "a/prod-grok-backend.json": GROK})
    monkeypatch.setattr(Path, "open", watched)
    monkeypatch.setattr(zipfile.ZipFile, "open", watched_zip)
    for number, path in enumerate([folder, packed]):
        report, rows = import_into(tmp_path / f"out{number}", path)
        assert len(rows) == 3 and counts(report)["files with an account's data (never opened)"] == 1
    with pytest.raises(UserError, match="never opened"):
        import_into(tmp_path / "out", folder / name)
    with pytest.raises(UserError, match="never opened"):
        import_into(tmp_path / "out", folder / name, format_name="claude")
    assert "prod-grok-backend.json" in opened and not any(entry.endswith(name) for entry in opened)


def test_beside_an_export_nothing_else_is_read(tmp_path: Path) -> None:
    packed = write_zip(
        tmp_path / "x.zip",
        {"conversations.json": CLAUDE, "message_feedback.json": POISON, "chat.html": POISON, "a.png": b"\x89PNG"},
    )
    report, rows = import_into(tmp_path / "out", packed)
    assert len(rows) == 5
    assert counts(report)["files beside an export that are none themselves"] == 2
    assert counts(report)["files of other kinds"] == 1


def test_a_folder_of_any_files_is_read_by_their_structure(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "deep" / ".hidden").mkdir(parents=True)
    (folder / "a.json").write_text(CLAUDE, encoding="utf-8")
    (folder / "deep" / "b.json").write_text(GROK, encoding="utf-8")
    (folder / "deep" / ".hidden" / "c.json").write_text(GROK, encoding="utf-8")
    (folder / "settings.json").write_text("// comments\n{}")
    (folder / "numbers.json").write_text('[{"a": 1}]')
    (folder / "list.json").write_text("[1, 2]")
    (folder / "none.json").write_text("")
    (folder / "README.md").write_text("Hello")
    report, rows = import_into(tmp_path / "out", folder)
    assert [one.format for one in report.files] == ["claude", "grok"] and len(rows) == 8
    for what in (
        "files that are not readable as JSON",
        "files of no known format",
        "files without a JSON object",
        "empty files",
        "text files without a speaker map (--speakers)",
    ):
        assert counts(report)[what] == 1


def test_in_a_folder_a_forced_format_and_a_map_are_for_what_they_fit(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.json").write_text(CLAUDE, encoding="utf-8")
    (folder / "README.md").write_text("Nobody speaks here.")
    (folder / "talk.txt").write_bytes((EXPORTS / "transcript.txt").read_bytes())
    report, rows = import_into(tmp_path / "claude", folder, format_name="claude")
    assert len(rows) == 5 and counts(report)["files of another kind than --format"] == 2
    report, rows = import_into(tmp_path / "both", folder, speakers=SPEAKERS)
    assert len(rows) == 7 and counts(report)["text files in which no line begins with a speaker of the map"] == 1


def test_an_exports_own_file_is_never_only_counted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "good.json").write_text(GROK, encoding="utf-8")
    (tmp_path / "b").mkdir()
    for content in ("", "[", "[1]", "[{}]", "<html>"):
        (tmp_path / "b" / "conversations.json").write_text(content)
        with pytest.raises(UserError, match="conversations.json"):
            import_into(tmp_path / "out", tmp_path)


def test_links_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.json").write_text(CLAUDE, encoding="utf-8")
    (tmp_path / "b.json").write_text(GROK, encoding="utf-8")
    (folder / "b.json").symlink_to(tmp_path / "b.json")
    (folder / "round").symlink_to(folder, target_is_directory=True)
    report, rows = import_into(tmp_path / "out", folder)
    assert len(rows) == 5 and counts(report)["links inside a folder (not followed)"] == 2


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for year in ("2024", "2025"):
        write_json(tmp_path / "mine" / year / "conversations.json", [claude(year, "Hm?", "Yes.")])
    real = os.scandir

    def scan(path: Any) -> Any:
        if Path(path).name == "2024":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(UserError, match=r"2024: this folder cannot be read \(Permission denied\)"):
        import_into(tmp_path / "out", tmp_path / "mine")
    assert not (tmp_path / "out").exists()


def test_activity_of_other_products_is_counted(tmp_path: Path) -> None:
    gemini = json.loads((EXPORTS / "gemini.json").read_text(encoding="utf-8"))
    shelf = tmp_path / "Takeout" / "My Activity"
    write_json(shelf / "Gemini Apps" / "MyActivity.json", gemini)
    search = write_json(
        shelf / "Search" / "MyActivity.json",
        [{"header": "Search", "title": "Searched for owls", "products": ["Search"]}],
    )
    report, rows = import_into(tmp_path / "out", tmp_path / "Takeout")
    assert rows and counts(report)["activity of other products"] == 1
    with pytest.raises(UserError, match="none of the known shapes"):
        import_into(tmp_path / "other", search)


def test_an_archive_with_backslashes_is_one_with_folders(tmp_path: Path) -> None:
    """As the programs of old Windows write it."""
    entries = {"export\\conversations.json": CLAUDE, "export\\users.json": POISON, "export\\other.json": GROK}
    report, rows = import_into(tmp_path / "out", write_zip(tmp_path / "x.zip", entries))
    assert len(rows) == 5 and [one.format for one in report.files] == ["claude"]
    assert counts(report)["files with an account's data (never opened)"] == 1


def test_the_corpus_that_is_written_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(CLAUDE, encoding="utf-8")
    _, first = import_into(tmp_path / "corpus", tmp_path)
    report, again = import_into(tmp_path / "corpus", tmp_path, force=True)
    assert again == first and counts(report)["files of the corpus that is written to"] == 2


# What an archive may not be


def test_names_that_leave_the_archive_and_links_are_counted(tmp_path: Path) -> None:
    packed = tmp_path / "x.zip"
    link = zipfile.ZipInfo("link.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/../../conversations.json", CLAUDE)
        archive.writestr("/absolute.json", CLAUDE)
        archive.writestr("C:\\windows.json", CLAUDE)
        archive.writestr(link, "elsewhere")
        archive.writestr("good.json", GROK)
        archive.writestr("__MACOSX/good.json", POISON)
    report, rows = import_into(tmp_path / "out", packed)
    assert len(rows) == 3
    assert counts(report)["archive entries whose name leaves the archive"] == 3
    assert counts(report)["links inside an archive (not followed)"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {"x.zip", "out"}, "nothing is unpacked"


def test_a_bomb_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = write_zip(tmp_path / "bomb.zip", {"conversations.json": b"[" + b" " * (3 << 20) + b"]"})
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was read"))
    with pytest.raises(UserError, match="more than 200 for one"):
        import_into(tmp_path / "out", bomb)


def test_limits_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = write_zip(tmp_path / "x.zip", {"a.json": CLAUDE, "b.json": GROK, "c.png": b"x"})
    monkeypatch.setattr(sources, "MOST_ENTRIES", 2)
    with pytest.raises(UserError, match="3 entries, more than 2"):
        import_into(tmp_path / "out", packed)
    monkeypatch.setattr(sources, "MOST_ENTRIES", 3)
    monkeypatch.setattr(sources, "MOST_BYTES", len(CLAUDE))
    with pytest.raises(UserError, match="to read"):
        import_into(tmp_path / "out", packed)


def test_limits_hold_for_an_archive_in_an_archive_and_a_third_is_not_opened(tmp_path: Path) -> None:
    third = write_zip(tmp_path / "3.zip", {"conversations.json": CLAUDE}).read_bytes()
    second = write_zip(tmp_path / "2.zip", {"deep.zip": third, "conversations.json": GROK}).read_bytes()
    report, rows = import_into(tmp_path / "out", write_zip(tmp_path / "1.zip", {"in.zip": second}))
    assert len(rows) == 3 and counts(report)["archives inside an archive inside an archive"] == 1
    bomb = write_zip(tmp_path / "b.zip", {"conversations.json": b"[" + b" " * (3 << 20) + b"]"}).read_bytes()
    with pytest.raises(UserError, match="more than 200"):
        import_into(tmp_path / "out2", write_zip(tmp_path / "o.zip", {"in.zip": bomb}))


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    packed = write_zip(tmp_path / "x.zip", {"conversations.json": CLAUDE}, compression=zipfile.ZIP_STORED)
    raw = bytearray(packed.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1
    packed.write_bytes(raw)
    with pytest.raises(UserError, match="encrypted"):
        import_into(tmp_path / "out", packed)


def spoil(packed: Path, name: str, fault: str) -> None:
    """Make the first entry of an archive, ``name``, encrypted, or its data or its check sum wrong."""
    raw = bytearray(packed.read_bytes())
    if fault == "data":
        raw[30 + len(name)] ^= 0xFF
    else:
        at, bits = (6, 1) if fault == "encrypted" else (14, 0xFF)
        for signature, offset in ((b"PK\x03\x04", at), (b"PK\x01\x02", at + 2)):
            raw[raw.index(signature) + offset] ^= bits
    packed.write_bytes(raw)


@pytest.mark.parametrize("fault", ["encrypted", "data", "sum"])
def test_a_manifest_that_cannot_be_read_is_refused(fault: str, tmp_path: Path) -> None:
    entries = {"export_manifest.json": '{"files": []} ' * 99, "conversations.json": CLAUDE}
    packed = write_zip(tmp_path / "x.zip", entries)
    spoil(packed, "export_manifest.json", fault)
    with pytest.raises(UserError, match="encrypted" if fault == "encrypted" else "cut or damaged"):
        import_into(tmp_path / "out", packed)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["notes.txt", "page.html"])
@pytest.mark.parametrize("fault", ["data", "sum"])
def test_a_damaged_text_is_refused(name: str, fault: str, tmp_path: Path) -> None:
    packed = write_zip(tmp_path / "x.zip", {name: "Aelara: Hm. " * 99})
    spoil(packed, name, fault)
    with pytest.raises(UserError, match=f"{name}: it is damaged"):
        import_into(tmp_path / "out", packed, speakers=SPEAKERS)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "text"])
def test_a_damaged_archive_is_refused(damage: str, tmp_path: Path) -> None:
    packed = write_zip(tmp_path / "x.zip", {"conversations.json": CLAUDE})
    raw = bytearray(packed.read_bytes())
    if damage == "flipped":
        raw[300] ^= 0xFF
    packed.write_bytes({"cut": raw[:400], "flipped": raw, "text": b"not an archive"}[damage])
    with pytest.raises(UserError, match="cut or damaged|cannot be read|valid JSON"):
        import_into(tmp_path / "out", packed)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["x.tgz", "x.tar.gz", "x.7z"])
def test_other_archives_are_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(UserError, match="only zip archives are read"):
        import_into(tmp_path / "out", tmp_path / name)


# Parts and versions


def part(folder: Path, number: int, *records: dict[str, Any]) -> None:
    write_json(folder / f"conversations-{number:03d}.json", list(records))


def test_parts_are_read_together_and_missing_ones_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    part(folder, 0, claude("a", "One?", "One."))
    part(folder, 2, claude("b", "Two?", "Two."))
    report, rows = import_into(tmp_path / "out", folder)
    assert len(rows) == 2 and counts(report) == {"parts of an export that are not there": 1}
    files = [f"conversations-{number:03d}.json" for number in range(5)]
    write_json(folder / "export_manifest.json", {"files": [{"name": name} for name in files]})
    report, _ = import_into(tmp_path / "out2", folder)
    assert counts(report) == {"parts of an export that are not there": 3}
    entries = {path.name: path.read_bytes() for path in folder.iterdir()}
    report, rows = import_into(tmp_path / "out3", write_zip(tmp_path / "x.zip", entries))
    assert len(rows) == 2 and counts(report) == {"parts of an export that are not there": 3}
    assert report.tally.dropped["parts of an export that are not there"].where[0].endswith("conversations-001")


@pytest.mark.parametrize("newest_first", [True, False])
def test_the_newer_version_of_a_conversation_stays(newest_first: bool, tmp_path: Path) -> None:
    def version(text: str, day: int) -> dict[str, Any]:
        record = claude("same", "Question?", text)
        record["chat_messages"][1]["created_at"] = f"2026-01-{day:02d}T00:00:00Z"
        return record

    old, new = version("A much longer answer, but an older one.", 1), version("Newer.", 2)
    first, second = (new, old) if newest_first else (old, new)
    other = claude("other", "Hm?", "Yes.")
    paths = [write_json(tmp_path / "a.json", [first, other]), write_json(tmp_path / "b.json", [second])]
    report, rows = import_into(tmp_path / "out", *paths)
    assert sorted(row.output for row in rows) == ["Newer.", "Yes."]
    assert report.rows == 2 and report.conversations == 2
    assert counts(report) == {"conversations that are there in a newer or longer version": 1}


def test_of_two_versions_without_times_the_longer_stays(tmp_path: Path) -> None:
    grown = [claude("c", *(f"turn {n} of it" for n in range(2 * size))) for size in (1, 3, 2)]
    report, rows = import_into(tmp_path / "out", write_json(tmp_path / "a.json", grown))
    assert [row.id for row in rows] == ["c-1", "c-2", "c-3"] and report.rows == 3
    assert counts(report) == {"conversations that are there in a newer or longer version": 2}


def test_the_same_file_twice_gives_each_row_once(tmp_path: Path) -> None:
    for name in ("claude.json", "gemini.json", "sharegpt.json", "rows.jsonl"):
        _, once = import_into(tmp_path / f"{name}1", EXPORTS / name)
        _, twice = import_into(tmp_path / f"{name}2", EXPORTS / name, EXPORTS / name)
        assert once == twice


def talk(file: Path, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{('Me', 'Friend')[n % 2]}: {line}\n" for n, line in enumerate(lines)))
    return file


def of_data_set(file: Path, *lines: str) -> Path:
    turns = [{"role": ("user", "assistant")[n % 2], "content": line} for n, line in enumerate(lines)]
    return write_json(file.with_suffix(".json"), [{"id": 0, "messages": turns}])


@pytest.mark.parametrize("written", [talk, of_data_set])
def test_files_that_only_open_alike_are_no_versions(written: Any, tmp_path: Path) -> None:
    said = {
        "mon": ("good morning", "Monday!", "the garden", "Plant beans."),
        "thu": ("good morning", "Monday!", "the shed", "Paint it."),
        "tue": ("good morning", "Tuesday!"),
        "wed": ("good morning", "Tuesday!", "the dentist", "Good luck."),
    }
    files = {day: written(tmp_path / day / "chat.txt", *lines) for day, lines in said.items()}
    report, rows = import_into(tmp_path / "out", *files.values(), speakers=SPEAKERS)
    talks: dict[str, list[str]] = {}
    for row in rows:
        talks.setdefault(row.conversation, []).append(row.output)
    assert list(talks.values()) == [["Monday!", "Plant beans."], ["Monday!", "Paint it."], ["Tuesday!", "Good luck."]]
    assert len({row.id for row in rows}) == 6 and report.conversations == 3
    (account,) = report.tally.dropped.values()
    name = [*talks][2]
    assert account.count == 1 and account.where == [
        f"{files['tue']}, {report.files[0].format} {name}, kept as it is in {files['wed']}"
    ]
    _, grown = import_into(tmp_path / "grown", files["mon"], files["wed"], speakers=SPEAKERS)
    _, early = import_into(tmp_path / "early", files["mon"], files["tue"], speakers=SPEAKERS)
    assert grown[-1].conversation == early[-1].conversation == name, "the id stays when the conversation goes on"


def test_own_rows_without_ids_come_from_two_files_of_one_name(tmp_path: Path) -> None:
    bare, named = {"input": "Hm?", "output": "One."}, {"conversation": "x", "input": "And?", "output": "So."}
    context = [{"role": "human", "content": "Well."}, {"role": "assistant", "content": "Well what?"}]
    for number, rows in enumerate(
        [[bare, named], [bare | {"context": context}, named | {"conversation": "y"}], [bare, named]]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [tmp_path / str(number) / "own.jsonl" for number in range(3)]
    _, alone = import_into(tmp_path / "alone", files[0])
    _, rows = import_into(tmp_path / "out", *files)
    assert [row.id for row in alone] == ["own-1", "own-2"] and rows[:2] == alone
    assert [row.conversation for row in rows] == ["own-1", "x", rows[2].id, "y"]
    assert rows[2].id.startswith("own-1-") and rows[3].id.startswith("own-2-") and len(rows[2].context) == 2
    _, again = import_into(tmp_path / "again", *files, files[1])
    assert again == rows


def test_rows_with_numbers_that_json_lacks_are_counted(tmp_path: Path) -> None:
    rows = ['{"input": "A?", "output": "B.", "score": NaN}', '{"input": "C?", "output": "D.", "score": 1e999}']
    (tmp_path / "own.jsonl").write_text("\n".join([*rows, '{"input": "E?", "output": "F.", "score": 1}']))
    report, found = import_into(tmp_path / "out", tmp_path / "own.jsonl")
    assert [row.output for row in found] == ["F."] and counts(report)["rows that are not valid"] == 2


def test_own_rows_of_one_name_that_differ_are_refused(tmp_path: Path) -> None:
    for name, output in (("a", "One."), ("b", "Two.")):
        row = {"id": "x-1", "conversation": "x", "input": "Hm?", "output": output}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match=r"'x' comes twice, with other rows: in \S*a.jsonl and in \S*b.jsonl"):
        import_into(tmp_path / "out", tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("own_first", [True, False])
def test_an_own_row_with_the_id_of_a_derived_one_is_refused(own_first: bool, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text(json.dumps({"id": "c-1", "conversation": "y", "input": "a", "output": "b"}))
    paths = [tmp_path / "own.jsonl", write_json(tmp_path / "talk.json", [claude("c", "Hm?", "Yes.")])]
    with pytest.raises(UserError, match="Two rows have the id 'c-1'"):
        import_into(tmp_path / "out", *(paths if own_first else reversed(paths)))


# Writing


def test_rows_that_are_there_are_replaced_only_when_told(tmp_path: Path) -> None:
    import_into(tmp_path / "out", EXPORTS / "claude.json")
    with pytest.raises(UserError, match="--force"):
        import_into(tmp_path / "out", EXPORTS / "grok.json")
    assert len(read_jsonl(tmp_path / "out" / "imported.jsonl")) == 5
    _, rows = import_into(tmp_path / "out", EXPORTS / "grok.json", force=True)
    assert len(rows) == 3


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    import_into(tmp_path / "out", EXPORTS / "claude.json")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    cut = tmp_path / "conversations.json"
    cut.write_text(json.dumps([claude(f"c{n}", "Hm?", "Yes.") for n in range(9)])[:-20])
    with pytest.raises(UserError, match="it was cut"):
        import_into(tmp_path / "out", cut, force=True)
    with pytest.raises(UserError, match="it was cut"):
        import_into(tmp_path / "new" / "out", cut)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert not (tmp_path / "new" / "out").exists()


def test_a_full_disk_is_a_mistake_with_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        name = str(tmp_path / "out" / "part")

        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("rct_lightning.corpus.rowfile._beside", lambda path: Full())
    with pytest.raises(UserError, match="No space left"):
        import_corpus([EXPORTS / "claude.json"], CorpusDir(tmp_path / "out"))


def test_nothing_to_import_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.json").touch()
    with pytest.raises(UserError, match="no file of it is an export. Give the export itself, or name its --format"):
        import_corpus([tmp_path / "empty"], CorpusDir(tmp_path / "out"))
    with pytest.raises(UserError, match="read as --format chatgpt; leave that out"):
        import_corpus([EXPORTS / "claude.json"], CorpusDir(tmp_path / "out"), format_name="chatgpt")
    with pytest.raises(UserError, match="empty.json: the file is empty. Fetch the export again"):
        import_corpus([tmp_path / "empty.json"], CorpusDir(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        import_into(tmp_path / "file" / "out", EXPORTS / "claude.json")
    with pytest.raises(UserError, match="no such file or folder"):
        import_into(tmp_path / "out", tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="this is a pipe or a device"):
        import_into(tmp_path / "out", tmp_path / "pipe")


def test_progress_reaches_the_size_of_the_files(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    paths = [EXPORTS / name for name in ("claude.json", "gemini.json", "grok.json")]
    import_corpus(paths, CorpusDir(tmp_path / "out"), progress=lambda done, total: told.append((done, total)))
    size = sum(path.stat().st_size for path in paths)
    assert told[-1] == (size, size) and [done for done, _ in told] == sorted(done for done, _ in told)


def test_find_sees_a_path_of_each_kind(tmp_path: Path) -> None:
    packed = write_zip(tmp_path / "x.zip", {"in/conversations.json": CLAUDE})
    (one,) = sources.find([packed], Tally())
    assert one.name == f"{packed}:in/conversations.json" and one.base == "conversations.json" and not one.asked
    with one.open() as file:
        assert file.read() == CLAUDE.encode()
