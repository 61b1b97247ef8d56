"""How households are made up: counts of a survey, for sample households to be drawn like.

World Bank (2023). Synthetic Data for an Imaginary Country, Sample, 2023. World Bank, Development Data Group.
https://doi.org/10.48529/MC1F-QH23. 8,000 households and 32,396 persons, none of them real; unweighted.
Bands of ages are of five years; sizes that are grouped go under the least of them.
"""

SIZE_MOST = 12

# Households by their number of persons; 12 and more are 12.
SIZES = {
    1: 727,
    2: 1174,
    3: 1577,
    4: 1727,
    5: 1202,
    6: 648,
    7: 414,
    8: 267,
    9: 109,
    10: 72,
    11: 35,
    SIZE_MOST: 48,
}

HEADS_FROM = 15
SIZE_GROUPED = 6
# Heads by sex, size (6: six and more) and band of age, from 15.
HEADS = {
    "male": {
        1: (6, 20, 31, 36, 35, 35, 36, 39, 21, 35, 25, 21, 12, 4, 5, 2, 3),
        2: (11, 61, 84, 68, 60, 37, 60, 66, 91, 70, 64, 56, 42, 24, 8, 3, 1),
        3: (6, 112, 179, 182, 115, 93, 122, 107, 96, 87, 43, 41, 33, 11, 7, 4, 0),
        4: (3, 52, 135, 206, 244, 225, 181, 155, 92, 68, 34, 26, 13, 7, 1, 1, 1),
        5: (1, 17, 74, 141, 184, 198, 129, 95, 60, 60, 29, 14, 18, 3, 6, 1, 1),
        6: (0, 9, 41, 97, 195, 198, 192, 179, 141, 105, 67, 50, 24, 15, 7, 3, 1),
    },
    "female": {
        1: (3, 13, 23, 20, 11, 14, 30, 21, 24, 39, 48, 36, 31, 26, 17, 3, 2),
        2: (0, 28, 21, 40, 26, 27, 27, 43, 30, 30, 23, 25, 21, 15, 7, 4, 1),
        3: (4, 25, 24, 31, 29, 36, 38, 36, 24, 25, 29, 16, 11, 7, 3, 1, 0),
        4: (3, 9, 32, 37, 31, 31, 35, 29, 22, 17, 10, 13, 6, 4, 2, 1, 1),
        5: (0, 7, 12, 16, 29, 23, 17, 19, 8, 15, 12, 6, 4, 3, 0, 0, 0),
        6: (0, 3, 8, 19, 25, 38, 37, 33, 29, 22, 17, 20, 7, 7, 4, 0, 0),
    },
}

# Of heads by sex and size, how many live with a spouse.
COUPLES = {
    "male": {2: (675, 806), 3: (1158, 1238), 4: (1391, 1444), 5: (991, 1031), 6: (1267, 1324)},
    "female": {2: (40, 368), 3: (87, 339), 4: (88, 283), 5: (47, 171), 6: (74, 269)},
}

SPOUSE_FROM = -20
# Spouses by the head's sex and by how much older they are than the head: in steps of two years, from -20.
SPOUSE_YEARS = {
    "male": (168, 73, 129, 138, 222, 379, 534, 785, 1016, 1000, 575, 254, 117, 46, 22, 51),
    "female": (5, 3, 2, 2, 4, 3, 6, 9, 19, 35, 52, 47, 43, 30, 25, 54),
}

# The others by the head's band of age (85: 85 and older): children by band of age, from 0, and how many are
# no children.
CHILDREN = {
    15: ((10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 24),
    20: ((260, 63, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 127),
    25: ((500, 329, 46, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 247),
    30: ((550, 641, 317, 47, 0, 0, 0, 0, 0, 0, 0, 0, 0), 286),
    35: ((473, 729, 674, 307, 42, 1, 0, 0, 0, 0, 0, 0, 0), 326),
    40: ((294, 571, 678, 569, 180, 24, 0, 0, 0, 0, 0, 0, 0), 330),
    45: ((161, 313, 532, 569, 314, 85, 9, 0, 0, 0, 0, 0, 0), 404),
    50: ((64, 166, 342, 473, 396, 198, 57, 5, 0, 0, 0, 0, 0), 463),
    55: ((39, 83, 159, 247, 257, 186, 68, 35, 4, 0, 0, 0, 0), 534),
    60: ((18, 49, 94, 140, 184, 148, 111, 54, 27, 2, 0, 0, 0), 518),
    65: ((12, 20, 50, 64, 92, 75, 62, 53, 31, 10, 3, 0, 0), 426),
    70: ((10, 7, 19, 25, 40, 45, 48, 55, 49, 29, 4, 3, 0), 374),
    75: ((2, 5, 7, 14, 23, 12, 17, 25, 29, 17, 11, 15, 3), 206),
    80: ((2, 2, 3, 7, 7, 9, 13, 14, 6, 19, 10, 1, 2), 137),
    85: ((2, 3, 1, 4, 3, 5, 2, 6, 11, 12, 10, 6, 3), 99),
}

# Those who are neither head, spouse nor child, by the head's age (15: under 35, 35: under 55) and their own
# band, from 0.
OTHERS = {
    15: (37, 39, 49, 133, 109, 57, 48, 15, 18, 20, 42, 32, 32, 24, 17, 3, 5, 1, 1, 2),
    35: (276, 154, 115, 200, 173, 121, 74, 50, 46, 20, 37, 25, 33, 36, 34, 56, 39, 26, 5, 3),
    55: (455, 394, 304, 299, 213, 150, 127, 72, 52, 41, 33, 25, 26, 15, 14, 19, 25, 14, 14, 2),
}

# Women among children, and among those others: so many, of so many.
FEMALE_CHILDREN = (6640, 14047)
FEMALE_OTHERS = (2429, 4501)

# Persons with a disability by age, in bands of 15 years: so many, of so many.
DISABLED = {
    0: (175, 10130),
    15: (199, 8601),
    30: (165, 6586),
    45: (256, 4285),
    60: (247, 2050),
    75: (225, 744),
}

# Women of 18 to 44 years who gave birth within twelve months: so many, of so many.
BIRTHS = (515, 6774)

# Those who go to school by age in years: so many, of so many.
ATTENDING = {
    6: (513, 651),
    7: (654, 759),
    8: (558, 643),
    9: (606, 657),
    10: (607, 672),
    11: (498, 550),
    12: (714, 787),
    13: (679, 738),
    14: (564, 649),
    15: (611, 726),
    16: (465, 588),
    17: (422, 610),
}
