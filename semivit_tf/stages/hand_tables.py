"""Tables of images that a person fills in or goes through, and their contact sheets.

A table is never written again, since a person may have written into it: the same
question is answered before, and another one is refused.
"""

from semivit_tf.config.settings import InputError
from semivit_tf.report.page import render
from semivit_tf.report.pictures import picture
from semivit_tf.stages.answer_tables import csv_table
from semivit_tf.stages.report_content import name_of_data
from semivit_tf.stages.report_images import Shown
from semivit_tf.stages.result_file import (
    DamagedResultError,
    read_result,
    write_result,
)
from semivit_tf.whole_file import open_whole, whole_path

_SHOWN = 300  # images of a contact sheet, at most


class HandTable:
    """The files `<stage>.csv`, `<stage>.html` and `<stage>.json` in a run's folder.

    Args:
        run: `Run`.
        stage: `Stage`.
        asked: Dict, JSON-ready: what the table follows from.
    """

    def __init__(self, run, stage, asked):
        self._run, self._asked = run, asked
        self.table, self.page, self._result = (
            run.folder.path / f"{stage.name}.{ending}"
            for ending in ("csv", "html", "json")
        )

    def summary(self):
        """Returns what was found before, or None; refuses a table of other things."""
        if not self.table.exists():
            return None
        try:
            found = read_result(self._result) or {}
        except DamagedResultError:
            found = {}
        before = found.get("asked", {})
        if before != self._asked:
            differing = [
                f"{name}={value} (was {before.get(name, 'unknown')})"
                for name, value in self._asked.items()
                if before.get(name) != value
            ]
            raise InputError(
                f"{self.table} is there already, and may have been written into: move "
                f"it away to have another one. Differing: {', '.join(differing)}"
            )
        return found["found"]

    def write(self, columns, rows, found, title, sentences, texts):
        """Writes all three files; the table, which says that all are there, last.

        Args:
            columns: Dict of column to what it holds, see `answer_tables`.
            rows: List of dicts with `rank`, `path` and `index`, that of a training
                image.
            found: Dict, JSON-ready, for `summary`.
            title: String. The headline of the contact sheet.
            sentences: List of strings, below it.
            texts: List of strings. What stands below each image.
        """
        shown = rows[:_SHOWN]
        if len(rows) > _SHOWN:
            more = f"The first {_SHOWN} of {len(rows)} images of the table."
            sentences = [*sentences, more]
        content = {
            "name": name_of_data(self._run),
            "title": title,
            "sentences": sentences,
            "contacts": self._contacts(shown, texts),
        }
        with open_whole(self.page) as file:
            file.write(render(content, "contact_sheet.html"))
        write_result(self._result, {"asked": self._asked, "found": found})
        with whole_path(self.table) as aside, csv_table(aside, columns) as add:
            for row in rows:
                add(row)

    def _contacts(self, rows, texts):
        """Returns what a contact sheet has of each row, the image where it may."""
        images = {}
        if rows and self._run.config.run.report_images:
            images = Shown(self._run, None).training([row["index"] for row in rows])
        contacts = []
        for row, text in zip(rows, texts, strict=False):
            image = images.get(row["index"])
            if image is not None:
                image = picture(image, f"{row['rank']}: {text}")
            contacts.append(
                {
                    "rank": row["rank"],
                    "path": row["path"],
                    "text": text,
                    "image": image,
                }
            )
        return contacts
