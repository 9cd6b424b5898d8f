"""Vocabulary of the world: canonical names with synonymous phrases."""

from collections.abc import Mapping

Words = Mapping[str, tuple[str, ...]]

ENVIRONMENTS: Words = {
    "snowy field": (
        "in a snowy field", "in a snowy field in winter", "in the snow", "on a field of snow", "in a winter landscape",
        "on snowy ground", "in deep snow", "in a white snowy landscape",
    ),
    "grass meadow": (
        "in a grass meadow", "in a green meadow", "on the grass", "in a grassy field", "in a green field", "on a lawn",
        "in a park", "in the countryside",
    ),
    "desert": (
        "in a desert", "in the desert", "on sand dunes", "in a sandy desert", "in the desert sand", "among dunes",
    ),
    "beach": (
        "on a beach", "on the beach by the sea", "by the sea", "at the sea", "by the ocean", "on a sandy beach",
        "on the shore", "at the seaside",
    ),
    "city street": (
        "on a city street", "in a city", "on a street", "in the city", "on a street with buildings", "downtown",
        "on an urban street", "in a town", "on a road in the city",
    ),
    "forest": ("in a forest", "in the woods", "among trees", "in a green forest", "in a dense forest", "in the forest"),
    "mountains": (
        "in the mountains", "in front of mountains", "in a mountain landscape", "in a mountain valley",
        "among mountains", "near rocky mountains",
    ),
    "room": ("in a room", "indoors", "inside a house", "in a living room", "in an indoor room", "on a wooden floor"),
}  # fmt: skip
PLACES: Words = {  # the same, standing alone
    "snowy field": ("a snowy field", "a snowy field in winter", "a winter landscape", "a field of snow", "snow"),
    "grass meadow": ("a grass meadow", "a green meadow", "a grassy field", "a green field", "a lawn", "a park"),
    "desert": ("a desert", "sand dunes", "a sandy desert", "the desert", "dunes"),
    "beach": ("a beach", "a sandy beach", "the seaside", "a beach by the sea", "the sea", "the ocean shore"),
    "city street": ("a city street", "a city", "a street", "a street with buildings", "an urban street", "a town"),
    "forest": ("a forest", "the woods", "a green forest", "a dense forest", "trees in a forest"),
    "mountains": ("mountains", "a mountain landscape", "a mountain valley", "rocky mountains", "the mountains"),
    "room": ("a room", "a living room", "an indoor room", "the inside of a house", "an interior"),
}
TIMES: Words = {
    "day": ("during the day", "in daylight", "by day", "at noon", "in the daytime", "on a bright day"),
    "sunset": ("at sunset", "at dusk", "in the evening", "in golden light", "at golden hour", "under an orange sky"),
    "night": ("at night", "in the dark", "at midnight", "by night", "in moonlight", "under the night sky"),
}
TIME_ADJECTIVES: Words = {"day": ("bright",), "sunset": ("sunset", "golden"), "night": ("dark", "night", "moonlit")}
WEATHERS: Words = {
    "sun": ("in the sun", "in clear weather", "on a clear day", "in fine weather", "in sunny weather"),
    "snow": (
        "in falling snow",
        "while snow is falling",
        "in a snowfall",
        "in snowy weather",
        "snowing",
        "in a snow storm",
    ),
    "rain": ("in the rain", "rain", "in heavy rain", "in rainy weather", "raining", "in a rain storm"),
    "fog": ("in fog", "in thick fog", "in the mist", "in foggy weather", "foggy", "misty"),
}
LOOKS: Words = {
    "plain": ("a photo of", "a video of", "a realistic video of", "a photograph of", "footage of"),
    "pencil sketch": (
        "a pencil sketch of", "a pencil drawing of", "a sketch of", "a black and white drawing of",
        "a hand drawn sketch of", "a line drawing of",
    ),
    "watercolor": (
        "a watercolor painting of", "watercolor painting of", "a watercolour of", "a painting of", "a watercolor of",
        "an aquarelle of",
    ),
    "claymation": (
        "a claymation of", "claymation of", "a clay animation of", "a plasticine model of",
        "a stop motion clay scene of", "clay figures of",
    ),
    "flat cartoon": (
        "a cartoon of", "a flat cartoon of", "an animation of", "a comic drawing of", "an anime of",
        "a cartoon animation of",
    ),
    "neon": (
        "a neon picture of", "neon lights of", "a neon style video of", "glowing neon lines of", "a cyberpunk scene of",
    ),
}  # fmt: skip
STYLES: Words = {  # the same, behind or alone
    "plain": ("photo", "realistic video", "photograph", "realistic"),
    "pencil sketch": (
        "pencil sketch",
        "pencil drawing",
        "sketch",
        "black and white drawing",
        "line drawing",
        "drawing",
    ),
    "watercolor": ("watercolor painting", "watercolor", "watercolour", "painting", "aquarelle"),
    "claymation": ("claymation", "clay animation", "plasticine", "stop motion clay", "clay"),
    "flat cartoon": ("flat cartoon", "cartoon", "comic", "anime", "cartoon animation"),
    "neon": ("neon", "neon lights", "neon style", "glowing neon lines", "cyberpunk"),
}
KINDS: Words = {
    "person": ("person", "man", "woman", "figure", "walker", "human"),
    "dog": ("dog", "puppy", "hound"),
    "horse": ("horse", "pony"),
    "bird": ("bird", "flying bird", "seagull"),
    "car": ("car", "vehicle", "automobile"),
    "boat": ("boat", "sailing boat", "ship"),
    "ball": ("ball", "sphere"),
    "cube": ("cube", "box", "block"),
    "tree": ("tree",),
    "house": ("house", "cottage", "hut"),
}
COLOURS: Words = {
    "red": ("red", "crimson"),
    "green": ("green",),
    "blue": ("blue",),
    "yellow": ("yellow", "golden yellow"),
    "orange": ("orange",),
    "purple": ("purple", "violet"),
    "black": ("black",),
    "white": ("white",),
    "brown": ("brown",),
    "pink": ("pink",),
    "gray": ("gray", "grey"),
}
ACTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {  # at rest, going, going fast
    "person": (("standing",), ("walking", "strolling"), ("running", "jogging")),
    "dog": (("standing",), ("walking", "trotting"), ("running", "bounding")),
    "horse": (("standing",), ("walking", "trotting"), ("galloping", "running")),
    "bird": (("flying",), ("flying", "flapping"), ("flying",)),
    "car": (("parked",), ("driving",), ("driving fast", "driving")),
    "boat": (("floating",), ("sailing",), ("sailing",)),
    "ball": (("lying",), ("rolling",), ("bouncing",)),
    "cube": (("standing", "lying"), ("turning", "spinning"), ("turning",)),
    "tree": (("standing",), ("standing",), ("standing",)),
    "house": (("standing",), ("standing",), ("standing",)),
}
GROUPS = ("{} and {}", "{} with {}", "{} next to {}", "{} beside {}")


def vocabulary() -> frozenset[str]:
    """Every word that a caption can hold, without punctuation."""
    tables = (ENVIRONMENTS, PLACES, TIMES, TIME_ADJECTIVES, WEATHERS, LOOKS, STYLES, KINDS, COLOURS)
    phrases = [phrase for table in tables for phrases in table.values() for phrase in phrases]
    phrases += [phrase for actions in ACTIONS.values() for speeds in actions for phrase in speeds]
    phrases += [group.replace("{}", "") for group in GROUPS] + ["a", "an", "in", "clothes"]
    return frozenset(word for phrase in phrases for word in phrase.replace(",", "").split())
