"""Works in parts, named one by one: Bach's chorales, and the string quartets of Haydn and Mozart.

The corpus calls its files after catalogue numbers, so the titles stand here. Left out are the chorales whose score
carries a copyright line (most do, for their PDF) and those in more than four parts.
"""

# (file in music21's corpus, title)
CHORALES = (
    ("bach/bwv111.6.mxl", "Was mein Gott will, das g'scheh allzeit, BWV 111.6"),
    ("bach/bwv66.6.mxl", "Christ ist erstanden, BWV 66.6"),
    ("bach/bwv244.10.mxl", "O Welt, ich muss dich lassen, BWV 244.10"),
    ("bach/bwv7.7.mxl", "Christ unser Herr zum Jordan kam, BWV 7.7"),
    ("bach/bwv248.28.mxl", "Gelobet seist du, Jesu Christ, BWV 248.28"),
    ("bach/bwv93.7.mxl", "Wer nur den lieben Gott lässt walten, BWV 93.7"),
    ("bach/bwv99.6.mxl", "Was Gott tut, das ist wohlgetan, BWV 99.6"),
    ("bach/bwv245.5.mxl", "Vater unser im Himmelreich, BWV 245.5"),
    ("bach/bwv112.5.mxl", "Der Herr ist mein getreuer Hirt, BWV 112.5"),
    ("bach/bwv125.6.mxl", "Mit Fried und Freud ich fahr dahin, BWV 125.6"),
    ("bach/bwv135.6.mxl", "Herzlich tut mich verlangen, BWV 135.6"),
    ("bach/bwv20.7.mxl", "O Ewigkeit, du Donnerwort, BWV 20.7"),
    ("bach/bwv146.8.mxl", "Werde munter, mein Gemüte, BWV 146.8"),
    ("bach/bwv157.5.mxl", "Meinen Jesum lass ich nicht, BWV 157.5"),
    ("bach/bwv158.4.mxl", "Christ lag in Todesbanden, BWV 158.4"),
    ("bach/bwv162.6-lpz.mxl", "Alle Menschen müssen sterben, BWV 162.6"),
    ("bach/bwv165.6.mxl", "Nun lasst uns Gott dem Herren, BWV 165.6"),
    ("bach/bwv178.7.mxl", "Wo Gott der Herr nicht bei uns hält, BWV 178.7"),
    ("bach/bwv145-a.mxl", "Jesus, meine Zuversicht, BWV 145"),
    ("bach/bwv244.17.mxl", "Herzlich tut mich verlangen, BWV 244.17"),
    ("bach/bwv244.40.mxl", "Werde munter, mein Gemüte, BWV 244.40"),
    ("bach/bwv245.40.mxl", "Herzlich lieb hab ich dich, o Herr, BWV 245.40"),
    ("bach/bwv248.23-s.mxl", "Vom Himmel hoch, da komm ich her, BWV 248.23"),
    ("bach/bwv248.42-s.mxl", "Hilf, Herr Jesu, lass gelingen, BWV 248.42"),
    ("bach/bwv248.64-s.mxl", "Herzlich tut mich verlangen, BWV 248.64"),
    ("bach/bwv274.mxl", "Christe, der du bist Tag und Licht, BWV 274"),
    ("bach/bwv72.6.mxl", "Was mein Gott will, das g'scheh allzeit, BWV 72.6"),
    ("bach/bwv92.9.mxl", "Was mein Gott will, das g'scheh allzeit, BWV 92.9"),
)

MOZART = "Wolfgang Amadeus Mozart"
HAYDN = "Joseph Haydn"

# (composer, work, folder in the corpus, movements); a movement is its heading and its tempo in quarter notes a minute.
QUARTETS = (
    (MOZART, "Quartet in D, K. 155", "mozart/k155", (("Allegro", 126), ("Andante", 72), ("Molto allegro", 112))),
    (
        HAYDN,
        "Quartet in B-flat, Op. 1 No. 1",
        "haydn/opus1no1",
        (("Presto", 180), ("Menuetto", 132), ("Adagio", 54), ("Second Menuetto", 126), ("Finale", 132)),
    ),
    (
        MOZART,
        "Quartet in G, K. 80",
        "mozart/k80",
        (("Adagio", 66), ("Allegro", 120), ("Menuetto", 126), ("Rondeau", 138)),
    ),
    (
        HAYDN,
        "Quartet in C, Op. 74 No. 1",
        "haydn/opus74no1",
        (("Allegro", 126), ("Andantino", 66), ("Menuetto", 144), ("Vivace", 126)),
    ),
    (
        MOZART,
        "Quartet in G, K. 156",
        "mozart/k156",
        (("Presto", 120), ("Adagio", 60), ("Menuetto", 120), ("First Adagio", 60)),
    ),
    (
        MOZART,
        "Quartet in B-flat, K. 458",
        "mozart/k458",
        (("Allegro vivace", 156), ("Menuetto", 120), ("Adagio", 48), ("Allegro assai", 138)),
    ),
)
