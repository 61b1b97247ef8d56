"""Facts that sample households are drawn from, typed with their sources. No real person is in them."""

# IDPoor households (Poor 1 and Poor 2) by province, 2022 (Ministry of Planning, NCDM, through WFP PRISM).
IDPOOR_HOUSEHOLDS = {
    "01": 31_023,
    "02": 91_072,
    "03": 47_600,
    "04": 27_008,
    "05": 23_858,
    "06": 42_592,
    "07": 25_163,
    "08": 35_637,
    "09": 8_898,
    "10": 27_693,
    "11": 4_778,
    "12": 32_216,
    "13": 14_619,
    "14": 51_748,
    "15": 27_807,
    "16": 14_879,
    "17": 47_845,
    "18": 6_251,
    "19": 9_880,
    "20": 22_984,
    "21": 38_692,
    "22": 11_184,
    "23": 1_791,
    "24": 5_540,
    "25": 40_137,
}

# Poor 1 : Poor 2 as counted in 2022; shares of the other two are ours, so that refusals are seen.
LEVELS = {"poor_1": 256_818, "poor_2": 434_077, "at_risk": 38_000, "none": 22_000}

# Persons per household; the mean is that of the 690,895 households of 2022 with 2,821,645 persons (4.08).
SIZES = {1: 5, 2: 13, 3: 21, 4: 25, 5: 18, 6: 10, 7: 5, 8: 2, 9: 1}

# Prefixes of mobile numbers and the digits that follow (libphonenumber's carrier table for +855).
MOBILE_PREFIXES = (
    ("010", 6),
    ("011", 6),
    ("012", 6),
    ("015", 6),
    ("016", 6),
    ("017", 6),
    ("069", 6),
    ("070", 6),
    ("071", 7),
    ("076", 7),
    ("077", 6),
    ("085", 6),
    ("086", 6),
    ("088", 7),
    ("089", 6),
    ("092", 6),
    ("093", 6),
    ("096", 7),
    ("097", 7),
    ("098", 6),
)

# Frequent names in Khmer and Latin script (github.com/sovanken/kname, MIT, Copyright 2025 Sovanken).
SURNAMES = (
    ("ឆន", "Chan"),
    ("ហេង", "Heng"),
    ("ថាច់", "Thach"),
    ("ហាក់", "Hak"),
    ("សុខុន", "Sokhon"),
    ("ថោង", "Thong"),
    ("ឡុង", "Long"),
    ("វ៉ាន់", "Van"),
    ("លី", "Ly"),
    ("ប៊ុន", "Bun"),
    ("គឹម", "Kim"),
    ("អ៊ូច", "Ouch"),
    ("អ៊ុំ", "Um"),
    ("សែន", "Saen"),
    ("វង្ស", "Vong"),
    ("ស៊ុំ", "Sum"),
    ("សុខ", "Sok"),
    ("យី", "Yi"),
    ("នួន", "Nuon"),
)
FEMALE_NAMES = (
    ("សុខា", "Sokha"),
    ("សិរី", "Serey"),
    ("ស្រីណា", "Sreyna"),
    ("សុភា", "Sophea"),
    ("មនោ", "Manou"),
    ("លក្ខិណា", "Lakhena"),
    ("ពេជ្រ", "Pich"),
    ("បុប្ផា", "Bopha"),
    ("ចន្ទ្រា", "Chantrea"),
    ("ចន្ទ្នារី", "Channary"),
)
MALE_NAMES = (
    ("ដារា", "Dara"),
    ("អនុ", "Anu"),
    ("សោភា", "Sophea"),
    ("ជឿន", "Cheurn"),
    ("សាន្ត", "San"),
    ("រិទ្ធ", "Rith"),
    ("វិជ្ជា", "Vichhea"),
    ("បុរី", "Borey"),
    ("ចក្រា", "Chakra"),
    ("វិចិត្រ", "Vichetr"),
    ("វិបុល", "Vibol"),
)

ROOFS = ("thatch", "corrugated iron", "tiles", "plastic sheet")
WALLS = ("bamboo", "wood", "brick", "corrugated iron")
FLOORS = ("earth", "bamboo", "wood", "cement")
TOILETS = ("none", "pit", "pour flush")
WATERS = ("pond", "rain", "well", "pipe")
ASSETS = ("bicycle", "motorbike", "television", "plough", "boat")
