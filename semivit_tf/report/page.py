"""The page: a template that is filled, with nothing outside of the file it becomes."""

import jinja2

from semivit_tf.one_line import one_line

_PARTS = {"labeled": "labelled", "unlabeled": "unlabelled"}


def render(content, template="page.html"):
    """Returns a page as text.

    Args:
        content: Dict of what the template names. Texts of all kinds are escaped there;
            plots are `Markup`.
        template: Name of a file in `page/`: the report, or a contact sheet.
    """
    return _environment().get_template(template).render(content)


def template_text():
    """Returns all that the page is made of besides its content."""
    environment = _environment()
    loader = environment.loader
    sources = (loader.get_source(environment, name) for name in loader.list_templates())
    return "".join(text for text, _, _ in sources)


def _environment():
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("semivit_tf.report", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": lambda share, digits=1: f"{100 * share:.{digits}f} %",
        "points": lambda change: f"{100 * change:+.1f}",
        "line": one_line,
        "part": lambda part: _PARTS.get(part, part),
        "duration": duration,
        "gigabytes": lambda size: f"{size / 1e9:.2f} GB",
    }
    return environment


def duration(seconds):
    """Returns seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
