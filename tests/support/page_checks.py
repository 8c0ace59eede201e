"""An HTML page read as a browser would, strictly."""

from html.parser import HTMLParser

VOID = {"meta", "link", "input", "img"}


class Balanced(HTMLParser):
    """Fails on a tag that closes something else; knows the page's ids and links."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
