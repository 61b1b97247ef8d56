"""Facts that sample households are drawn from, typed with their sources. No real person is in them."""

# Households of 2022 by province: Poor 1, Poor 2 (Ministry of Planning, NCDM, through WFP PRISM).
IDPOOR_HOUSEHOLDS = {
    "01": (11_656, 19_367),
    "02": (29_322, 61_750),
    "03": (18_783, 28_817),
    "04": (11_532, 15_476),
    "05": (9_392, 14_466),
    "06": (16_798, 25_794),
    "07": (9_668, 15_495),
    "08": (11_639, 23_998),
    "09": (3_367, 5_531),
    "10": (12_223, 15_470),
    "11": (1_487, 3_291),
    "12": (11_881, 20_335),
    "13": (5_249, 9_370),
    "14": (18_792, 32_956),
    "15": (12_399, 15_408),
    "16": (5_128, 9_751),
    "17": (18_090, 29_755),
    "18": (2_086, 4_165),
    "19": (3_717, 6_163),
    "20": (8_147, 14_837),
    "21": (14_765, 23_927),
    "22": (4_105, 7_079),
    "23": (495, 1_296),
    "24": (2_228, 3_312),
    "25": (13_869, 26_268),
}
IDPOOR_LEVELS = ("poor_1", "poor_2")

# How many near-poor and other households there are beside those; no count was found, so the figures are
# ours. They live where the poor live; who is near-poor and has nobody at risk is of level none.
OTHER_HOUSEHOLDS = {"at_risk": 38_000, "none": 22_000}

# Prefixes of mobile numbers and the digits that follow (libphonenumber's carrier table for +855, as in
# phonenumbers 9.0.43; the shorter ones of Telecom Cambodia are left out).
MOBILE_PREFIXES = (
    ("010", 6),
    ("011", 6),
    ("012", 6),
    ("013", 6),
    ("014", 6),
    ("015", 6),
    ("016", 6),
    ("017", 6),
    ("018", 7),
    ("031", 7),
    ("060", 6),
    ("061", 6),
    ("066", 6),
    ("067", 6),
    ("068", 6),
    ("069", 6),
    ("070", 6),
    ("071", 7),
    ("076", 7),
    ("077", 6),
    ("078", 6),
    ("081", 6),
    ("085", 6),
    ("086", 6),
    ("088", 7),
    ("089", 6),
    ("090", 6),
    ("092", 6),
    ("093", 6),
    ("095", 6),
    ("096", 7),
    ("097", 7),
    ("098", 6),
    ("099", 6),
)

# Names in Khmer and Latin script (github.com/sovanken/kname, MIT, Copyright 2025 Sovanken); those it gives
# to men and women alike stand in both lists.
SURNAMES = (
    ("ឆន", "Chan"),
    ("ហេង", "Heng"),
    ("ថាច់", "Thach"),
    ("ហាក់", "Hak"),
    ("ថោង", "Thong"),
    ("សុខុន", "Sokhon"),
    ("ឡុង", "Long"),
    ("លី", "Ly"),
    ("ចាន់", "Chan"),
    ("វ៉ាន់", "Van"),
    ("ប៊ុន", "Bun"),
    ("គឹម", "Kim"),
    ("អ៊ូច", "Ouch"),
    ("អ៊ុំ", "Um"),
    ("សែន", "Saen"),
    ("វង្ស", "Vong"),
    ("យី", "Yi"),
    ("ឆៃ", "Chhay"),
    ("សុខ", "Sok"),
    ("នួន", "Nuon"),
    ("ស៊ុំ", "Sum"),
    ("ជា", "Chea"),
    ("វណ្ណ", "Vann"),
    ("ហួត", "Huot"),
    ("សេន", "Sen"),
    ("សេង", "Seng"),
    ("ហឿន", "Heoun"),
    ("លុច", "Luch"),
    ("ជឹង", "Cheung"),
    ("សោម", "Saom"),
)
FEMALE_NAMES = (
    ("គន់", "Kon"),
    ("ចន្ទ្រា", "Chantrea"),
    ("បុប្ផា", "Bopha"),
    ("ពេជ្រ", "Pich"),
    ("មនោ", "Manou"),
    ("លក្ខិណា", "Lakhena"),
    ("សិរី", "Serey"),
    ("សុខា", "Sokha"),
    ("សុភា", "Sophea"),
    ("ស្រីណា", "Sreyna"),
    ("គុណ", "Kun"),
    ("ចន្ទ្នារី", "Channary"),
    ("មេត្តា", "Metta"),
    ("សាន", "San"),
    ("សិទ្ធិ", "Sith"),
    ("ស្រី", "Srey"),
    ("អភិ", "Api"),
)
MALE_NAMES = (
    ("ចក្រា", "Chakra"),
    ("ជឿន", "Cheurn"),
    ("ដារា", "Dara"),
    ("បុរី", "Borey"),
    ("រិទ្ធ", "Rith"),
    ("វិចិត្រ", "Vichetr"),
    ("វិជ្ជា", "Vichhea"),
    ("វិបុល", "Vibol"),
    ("សាន្ត", "San"),
    ("សុខ", "Sok"),
    ("សោភា", "Sophea"),
    ("អនុ", "Anu"),
    ("គុណ", "Kun"),
    ("មេត្តា", "Metta"),
    ("សាន", "San"),
    ("សិទ្ធិ", "Sith"),
    ("អភិ", "Api"),
)

ROOFS = ("thatch", "corrugated iron", "tiles", "plastic sheet")
WALLS = ("bamboo", "wood", "brick", "corrugated iron")
FLOORS = ("earth", "bamboo", "wood", "cement")
TOILETS = ("none", "pit", "pour flush")
WATERS = ("pond", "rain", "well", "pipe")
ASSETS = ("bicycle", "motorbike", "television", "plough", "boat")
