"""The sixteen styles as data: who plays, on which instruments, in which groove.

A style whose pieces are in parts already (chorales, quartets) has artists and nothing else; the others lay an
accompaniment under a tune. Within a style all is shared but the lead instruments, the tempo and the albums, which are
the artist's: tracks of a style sound alike, those of an artist more so, and styles are told apart within a second.
"""

from local.sample_library.bands import Accompanist, Artist, Drum, Style


def artist(
    name: str, lead: int | tuple[int, ...], tempo: int, *albums: str, shift: int = 0, doubling: int = 0
) -> Artist:
    """An artist whose name says that the music is generated."""
    first, second = albums
    leads = (lead,) if isinstance(lead, int) else lead
    return Artist(f"Overtone {name} (generated)", leads, tempo, (first, second), shift, doubling)


# Rhythms of a bar, in sixteenths: x struck, X accented.
EIGHTHS = "x.x.x.x.x.x.x.x."
SIXTEENTHS = "xxxxxxxxxxxxxxxx"
WHOLE = "x..............."
BACKBEAT = "....X.......X..."
FOUR_ON_THE_FLOOR = "X...X...X...X..."
OFFBEATS = "..x...x...x...x."

STYLES = (
    Style(
        "Chorale",
        "chorales",
        (
            artist("Chamber Choir", 52, 66, "Candles in the Nave", "Seven Quiet Hymns"),
            artist("Chapel Singers", (52, 52, 52, 53), 72, "A Plain Morning", "Stone and Breath"),
            artist("Evening Voices", (53, 52, 52, 52), 60, "Vespers by the Sea", "Low Light"),
        ),
        looseness=0.012,
        held=1.0,
        reverb=110,
    ),
    Style(
        "Organ",
        "chorales",
        (
            artist("Cathedral Organ", 19, 70, "West Gallery", "Thirty-two Feet", doubling=-12),
            artist("Village Organ", (20, 19, 19, 19), 76, "Harvest Sunday", "The Wooden Pipes", doubling=-12),
            artist("Great Organ", (19, 19, 20, 19), 64, "Full Swell", "The Long Pedal", doubling=-12),
        ),
        looseness=0.0,
        held=0.98,
        reverb=90,
    ),
    Style(
        "String Quartet",
        "quartets",
        (
            artist("String Quartet", (40, 40, 41, 42), 104, "Four Chairs", "Rosin"),
            artist("Salon Quartet", (40, 41, 41, 42), 98, "The Blue Room", "Letters from Vienna"),
            artist("Garden Quartet", (40, 40, 42, 42), 110, "Under the Limes", "A Walk before Supper"),
        ),
        looseness=0.010,
        held=0.95,
        reverb=55,
    ),
    Style(
        "Brass Band",
        "reels",
        (
            artist("Town Band", 56, 108, "Bandstand Sundays", "Parade at Ten", shift=-2),
            artist("Colliery Band", 61, 104, "Coal and Silver", "The Long Banner", shift=-5),
            artist("Harbour Brass", 57, 112, "Tide Tables", "Flags Out", shift=-12),
        ),
        (
            Accompanist(60, "triad", "....x.......x...", 53, 2.5, 76),
            Accompanist(58, "alternating", "X.......X.......", 33, 4, 96),
        ),
        (Drum(36, "X.......X.......", 95), Drum(38, "x..xx.xxx..xx.xx", 62), Drum(49, "X...............", 58)),
        kit=48,
        reverb=60,
    ),
    Style(
        "Piano",
        "reels",
        (
            artist("Parlour Piano", 0, 96, "Upright and Upstairs", "Candle Wax", doubling=12),
            artist("Hotel Piano", (0, 1), 104, "Lobby Hours", "Table by the Window", doubling=12),
            artist("Practice Piano", 1, 92, "Left Hand Alone", "Rainy Lesson", doubling=12),
        ),
        (
            Accompanist(None, "alternating", "x.......x.......", 36, 3, 72),
            Accompanist(None, "triad", "....x.......x...", 55, 2, 58),
        ),
        looseness=0.012,
        reverb=30,
    ),
    Style(
        "Baroque",
        "waltzes",
        (
            artist("Recorder Consort", (6, 6, 74), 108, "Boxwood", "Three-Four by Candle"),
            artist("Oboe Consort", (6, 6, 68), 102, "Double Reeds", "The Orangery"),
            artist("Flute Consort", (6, 6, 73), 114, "Shepherds in Silk", "A Small Ballroom"),
        ),
        (
            Accompanist(6, "arpeggio", "x.x.x.x.x.x.", 53, 2, 82),
            Accompanist(6, "root", "x...........", 41, 10, 80),
            Accompanist(42, "alternating", "x.......x...", 36, 7, 70),
        ),
        reverb=50,
    ),
    Style(
        "Celtic",
        "jigs",
        (
            artist("Fiddle Company", 110, 174, "Rain on Slate", "The Far Townland"),
            artist("Whistle Company", (110, 72), 180, "Tin and Turf", "Kitchen to Crossroads"),
            artist("Squeezebox Company", (110, 21), 168, "The Last Ferry", "Bellows and Boots"),
        ),
        (Accompanist(25, "triad", "X..x..X..x..", 50, 3, 92), Accompanist(25, "drone", "x.....x.....", 38, 6, 80)),
        (Drum(45, "X.xx.xX.xx.x", 76), Drum(41, "X.....X.....", 84)),
        reverb=35,
    ),
    Style(
        "Country",
        "reels",
        (
            artist("Banjo Pickers", 105, 116, "Gravel Road", "Dust on the Dashboard"),
            artist("Porch Band", 25, 108, "Screen Door", "County Line", shift=-2),
            artist("Freight Band", 22, 112, "Boxcar Letters", "Mile Marker Nine"),
        ),
        (
            Accompanist(25, "triad", "....X.x.....X.x.", 52, 2, 78),
            Accompanist(32, "alternating", "X.......X.......", 33, 5, 98),
        ),
        (Drum(38, "x.xxX.xxx.xxX.xx", 56), Drum(36, "X.......X.......", 84)),
        kit=40,
        reverb=20,
    ),
    Style(
        "Rock",
        "reels",
        (
            artist("Garage Band", 29, 124, "Four Amps", "Static Summer"),
            artist("Arena Band", 29, 132, "Upper Tier", "Encore at Eleven", doubling=12),
            artist("Basement Band", 29, 118, "Loud Neighbours", "One Bare Bulb", shift=-12),
        ),
        (Accompanist(29, "fifths", "X.x.x.X.x.x.X.x.", 40, 2, 82), Accompanist(33, "root", EIGHTHS, 28, 2, 98)),
        (Drum(36, "X.......X.x.....", 110), Drum(38, BACKBEAT, 106), Drum(42, EIGHTHS, 74), Drum(49, WHOLE, 60)),
        kit=16,
        lead_loudness=100,
        reverb=30,
    ),
    Style(
        "Metal",
        "reels",
        (
            artist("Iron Works", 30, 168, "Furnace Hours", "Slag"),
            artist("Night Foundry", 30, 176, "Anvil Weather", "Black Sparks", doubling=12),
            artist("Winter Engine", 30, 160, "Frozen Gears", "North of the Pit", doubling=7),
        ),
        (Accompanist(30, "fifths", "X.xxX.xxX.xxX.xx", 33, 1.2, 100), Accompanist(34, "root", SIXTEENTHS, 28, 1, 100)),
        (Drum(36, "X.xxX.xxX.xxX.xx", 112), Drum(38, BACKBEAT, 112), Drum(49, "X...x...X...x...", 84)),
        kit=16,
        looseness=0.002,
        lead_loudness=96,
        reverb=15,
    ),
    Style(
        "Electronic",
        "reels",
        (
            artist("Grid", 81, 126, "Pulse Width", "Zero Crossing"),
            artist("Circuit", 80, 128, "Square Roots", "Solder"),
            artist("Voltage", 62, 124, "Night Bus Patch", "Low Pass", shift=-2),
        ),
        (
            Accompanist(90, "triad", "x..x..x...x..x..", 57, 1.5, 72),
            Accompanist(38, "octaves", OFFBEATS.replace("..x.", ".xxx"), 36, 1, 100),
        ),
        (Drum(36, FOUR_ON_THE_FLOOR, 120), Drum(39, BACKBEAT, 92), Drum(46, OFFBEATS, 84), Drum(42, SIXTEENTHS, 58)),
        kit=24,
        looseness=0.0,
        held=0.6,
        lead_loudness=84,
        reverb=25,
        chorus=40,
    ),
    Style(
        "Hip-Hop",
        "reels",
        (
            artist("Corner Beats", 4, 88, "Block Radio", "Two Turntables", shift=-12),
            artist("Rooftop Beats", 5, 84, "Water Towers", "Late Pager", shift=-12),
            artist("Subway Beats", 11, 92, "Last Car", "Transfer", shift=-12),
        ),
        (
            Accompanist(4, "seventh", "x.........x.....", 55, 6, 66),
            Accompanist(39, "root", "X.....x...X..x..", 28, 3, 112),
        ),
        (Drum(36, "X.....x...X..x..", 120), Drum(38, BACKBEAT, 104), Drum(42, "x.x.x.x.x.x.x.xx", 72)),
        kit=25,
        swing=0.06,
        looseness=0.004,
        reverb=15,
    ),
    Style(
        "Jazz",
        "reels",
        (
            artist("Tenor Trio", 66, 138, "Smoke Break", "Second Set", shift=-12),
            artist("Alto Trio", 65, 148, "Brushes and Brass", "Corner Table", shift=-7),
            artist("Second Tenor Trio", (66, 0), 130, "Cellar Stairs", "After the Late Show", shift=-12),
        ),
        (
            Accompanist(0, "seventh", "x.....x.......x.", 53, 2, 84),
            Accompanist(32, "walking", "x...x...x...x...", 30, 3.6, 96),
        ),
        (Drum(51, "x...X.x.x...X.x.", 104), Drum(44, "....x.......x...", 90), Drum(38, "......x.......x.", 44)),
        kit=32,
        swing=0.16,
        looseness=0.012,
        reverb=35,
    ),
    Style(
        "Reggae",
        "reels",
        (
            artist("Harbour Sound", 18, 76, "Zinc Roof", "Evening Ferry"),
            artist("Hillside Sound", 17, 72, "Mango Season", "Red Road"),
            artist("Dockside Sound", 16, 80, "Crates and Bass", "Salt Air"),
        ),
        (
            Accompanist(27, "triad", "..X...X...X...X.", 57, 1, 88),
            Accompanist(17, "triad", ".x.x.x.x.x.x.x.x", 55, 0.8, 44),
            Accompanist(33, "walking", "x..x....x.x.....", 28, 3, 118),
        ),
        (Drum(36, "........X.......", 112), Drum(37, "........X.......", 104), Drum(42, "x.xxx.x.x.xxx.x.", 62)),
        kit=8,
        swing=0.05,
        reverb=60,
        lead_loudness=84,
    ),
    Style(
        "Latin",
        "reels",
        (
            artist("Flute Charanga", 73, 118, "Patio Lights", "Sugar Street"),
            artist("Pan Flute Conjunto", 75, 112, "High Market", "Bus to the Coast"),
            artist("Clarinet Danzon", 71, 108, "Old Pier", "Slow Fan"),
        ),
        (
            Accompanist(24, "arpeggio", "x.xx.x.xx.xx.x.x", 55, 1.5, 82),
            Accompanist(32, "alternating", "......x.....x...", 31, 4, 104),
        ),
        (
            Drum(75, "x..x..x...x.x...", 80),
            Drum(62, "..x...xx..x...xx", 76),
            Drum(63, "............x.x.", 84),
            Drum(70, SIXTEENTHS, 58),
            Drum(56, "x...x...x...x...", 46),
        ),
        reverb=40,
    ),
    Style(
        "Ambient",
        "waltzes",
        (
            artist("Drift", 88, 60, "Slow Weather", "Half Asleep Maps"),
            artist("Halo", 94, 56, "Window Frost", "Distance Study"),
            artist("Tideland", 99, 64, "Salt Marsh Tones", "Before Birds"),
        ),
        (
            Accompanist(89, "triad", "x...........", 52, 13, 70),
            Accompanist(95, "drone", "x...........", 40, 13, 62),
            Accompanist(98, "arpeggio", "x..x..x..x..", 76, 3, 66),
        ),
        looseness=0.03,
        held=1.6,
        lead_loudness=74,
        reverb=127,
        chorus=60,
    ),
)
