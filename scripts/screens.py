"""Photographs the screens: drives the real program with --demo in a pseudo-terminal and writes a PNG of each screen.

    pip install pyte pillow
    python3 scripts/screens.py [--program target/release/instdisc-lab] [--out assets/screens] [NAME…]

The pictures are what a terminal with 16 million colours shows at 80x24 and at 200x60: the program's own output, read by a
terminal emulator (pyte) and painted cell by cell. Letters come from a monospaced font on this machine (DejaVu Sans Mono,
or --font FILE); blocks, lines and braille are painted from their meaning, so that they join as they do on screen.
"""

import argparse
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

try:
    import pyte
    from PIL import Image, ImageDraw, ImageFont
except ImportError as missing:
    sys.exit(f"{missing}: pip install pyte pillow")

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZES = [(80, 24), (200, 60)]
GROUND, INK = (24, 26, 31), (214, 217, 224)

# A screen: what is typed to get there, and what has to be seen before the picture is taken.
ESC = "\x1b"
MARKS = "/proximal\r" + "    "
# Where an experiment and a key stand in their lists.
PROXIMAL = sorted(path.stem for path in (ROOT / "experiments").glob("*.toml")).index("proximal")
LAMBDA = 26
SCREENS = [
    ("runs", [("", "proximal-"), (MARKS, "4 marked")]),
    ("charts", [("2", "knn_top1"), ("hhhhhhhh", "● ")]),
    ("ablations", [(ESC + ESC + "3", "mean ± sample std")]),
    ("queue", [("4", "waiting")]),
    ("run", [("5", "against the defaults")]),
    ("images", [("1*/\x15neighbours\r", "1 of"), ("6", "alike"), ("oo", "in order"), ("", "✗"), ("l", "cosine")]),
    ("map", [("1*/\x15neighbours\r", "1 of"), ("6", "alike"), ("v", "◉ image"), ("c", "class")]),
    ("machine", [("7", "load"), ("", "processor"), ("", "0%")]),
    ("plan", [("1a", "makes"), ("j" * PROXIMAL + "l", "[cpu]"), ("", "makes")]),
    ("form", [("f" + "j" * LAMBDA + "\r\x150,5,-1", "at least 0")]),
    ("help", [(ESC * 3 + "?", "keys")]),
]

BASIC = {
    "black": (0, 0, 0), "red": (205, 0, 0), "green": (0, 205, 0), "brown": (205, 205, 0), "blue": (0, 0, 238),
    "magenta": (205, 0, 205), "cyan": (0, 205, 205), "white": (229, 229, 229),
}
# What the emulator does not know and would print: strings to the terminal other than OSC.
STRINGS = re.compile(rb"\x1b[_P^].*?\x1b\\", re.DOTALL)


class Terminal:
    """The program on a terminal of its own, and what a person would see there."""

    def __init__(self, program, columns, rows):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.rest = b""
        pid, self.fd = pty.fork()
        if pid == 0:
            os.chdir(ROOT)
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LC_ALL="C.UTF-8", INSTDISC_LAB_IMAGES="blocks")
            for name in ["NO_COLOR", "TMUX", "COLORFGBG", "INSTDISC_LAB_HOME"]:
                os.environ.pop(name, None)
            os.execv(program, [program, "--demo", "--theme", "dark"])
        self.pid = pid
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """Takes in what comes within so many seconds; whether anything came."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            data = self.rest + os.read(self.fd, 65536)
        except OSError:
            return False
        data = STRINGS.sub(b"", data)
        # A string that is cut off waits for its end.
        cut = max(data.rfind(b"\x1b_"), data.rfind(b"\x1bP"))
        self.rest, data = (data[cut:], data[:cut]) if cut >= 0 else (b"", data)
        self.stream.feed(data)
        return True

    def shows(self, text, patience=30):
        """Waits until the text is on screen and nothing more comes."""
        deadline = time.monotonic() + patience
        while not any(text in line for line in self.screen.display):
            if time.monotonic() > deadline:
                sys.exit("\n".join(self.screen.display) + f"\n{text!r} did not come up")
            self.read(0.2)
        while self.read(0.4) and time.monotonic() < deadline:
            pass

    def types(self, keys):
        for key in keys:
            os.write(self.fd, key.encode())
            # An escape that is followed at once would be read as a sequence.
            time.sleep(0.12 if key == ESC else 0.01)
            self.read(0)

    def ends(self):
        os.kill(self.pid, signal.SIGTERM)
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass
        os.waitpid(self.pid, 0)


def colour(name, default):
    if name == "default":
        return default
    if name in BASIC:
        return BASIC[name]
    name = name.removeprefix("bright")
    return BASIC[name] if name in BASIC else tuple(int(name[i : i + 2], 16) for i in (0, 2, 4))


class Painter:
    def __init__(self, font, size):
        bold = font.replace("Mono.ttf", "Mono-Bold.ttf")
        self.plain = ImageFont.truetype(font, size)
        self.bold = ImageFont.truetype(bold if os.path.exists(bold) else font, size)
        self.width = round(self.plain.getlength("0"))
        ascent, descent = self.plain.getmetrics()
        self.height = ascent + descent

    def paint(self, screen):
        width, height = self.width, self.height
        image = Image.new("RGB", (screen.columns * width, screen.lines * height), GROUND)
        draw = ImageDraw.Draw(image)
        for y in range(screen.lines):
            for x in range(screen.columns):
                cell = screen.buffer[y][x]
                ink, ground = colour(cell.fg, INK), colour(cell.bg, GROUND)
                if cell.reverse:
                    ink, ground = ground, ink
                left, top = x * width, y * height
                box = (left, top, left + width - 1, top + height - 1)
                if ground != GROUND:
                    draw.rectangle(box, fill=ground)
                char = cell.data or " "
                if char != " " and not self.shape(draw, char, left, top, ink):
                    draw.text((left, top), char, font=self.bold if cell.bold else self.plain, fill=ink)
                if cell.underscore:
                    draw.line((left, top + height - 2, left + width - 1, top + height - 2), fill=ink)
        return image

    def shape(self, draw, char, left, top, ink):
        """Characters that join their neighbours; False for others."""
        width, height, code = self.width, self.height, ord(char)

        def fill(x0, y0, x1, y1):
            x0, x1 = left + round(x0 * width), left + round(x1 * width) - 1
            y0, y1 = top + round(y0 * height), top + round(y1 * height) - 1
            draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), fill=ink)

        if 0x2800 <= code <= 0x28FF:
            dots = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
            for bit, (x, y) in enumerate(dots):
                if code - 0x2800 >> bit & 1:
                    cx, cy = left + (0.27 + 0.5 * x) * width, top + (0.125 + 0.25 * y) * height
                    r = width / 6.5
                    draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=ink)
        elif char == "▀":
            fill(0, 0, 1, 0.5)
        elif 0x2581 <= code <= 0x2588:
            fill(0, 1 - (code - 0x2580) / 8, 1, 1)
        elif 0x2589 <= code <= 0x258F:
            fill(0, 0, (0x2590 - code) / 8, 1)
        elif char == "░":
            for y in range(0, height, 3):
                for x in range(y // 3 % 2, width, 3):
                    draw.point((left + x, top + y), fill=ink)
        elif char in "│─╌┤├┬┴┼└┘┌┐╭╮╰╯":
            # Which of left, right, up and down it reaches.
            reach = {"│": "ud", "─": "lr", "╌": "lr", "┤": "lud", "├": "rud", "┬": "lrd", "┴": "lru", "┼": "lrud"}
            reach |= {"└": "ru", "┘": "lu", "┌": "rd", "┐": "ld", "╭": "rd", "╮": "ld", "╰": "ru", "╯": "lu"}
            cx, cy = left + width // 2, top + height // 2
            ends = {"l": (left, cy), "r": (left + width - 1, cy), "u": (cx, top), "d": (cx, top + height - 1)}
            for way in reach[char]:
                x, y = ends[way]
                if char == "╌":
                    x = x + 1 if way == "l" else x - 1
                    draw.line((cx + (2 if way == "r" else -2), cy, x, y), fill=ink)
                else:
                    draw.line((cx, cy, x, y), fill=ink)
        else:
            return False
        return True


def font_file():
    try:
        found = subprocess.run(["fc-match", "-f", "%{file}", "DejaVu Sans Mono"], capture_output=True, text=True)
        return found.stdout or sys.exit("no font: name one with --font FILE")
    except FileNotFoundError:
        sys.exit("no fc-match: name a monospaced font with --font FILE")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/instdisc-lab"))
    parser.add_argument("--out", default=str(ROOT / "assets/screens"))
    parser.add_argument("--font")
    parser.add_argument("--size", type=int, default=15, help="of the font, in pixels")
    parser.add_argument("--text", action="store_true", help="also print the screens as text")
    parser.add_argument("names", nargs="*", help="only these pictures; the others are passed through")
    args = parser.parse_args()
    painter = Painter(args.font or font_file(), args.size)
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for columns, rows in SIZES:
        terminal = Terminal(os.path.abspath(args.program), columns, rows)
        try:
            for name, steps in SCREENS:
                for keys, text in steps:
                    terminal.types(keys)
                    terminal.shows(text)
                if args.names and name not in args.names:
                    continue
                path = out / f"{name}-{columns}x{rows}.png"
                # Few colours: a palette loses nothing that is seen and halves the file. Photographs keep theirs.
                image = painter.paint(terminal.screen)
                if len(image.getcolors(1 << 24)) <= 256:
                    image = image.quantize(256)
                image.save(path, optimize=True)
                print(f"{path}: {path.stat().st_size} bytes")
                if args.text:
                    print("\n".join(line.rstrip() for line in terminal.screen.display))
        finally:
            terminal.ends()


if __name__ == "__main__":
    main()
