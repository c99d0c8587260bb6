# ruff: noqa: RUF001
"""What is said for what is written. The right-hand side goes to espeak, which reads plain numbers well."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_voice.spoken_form import say


def spoken(text: str) -> str:
    return " ".join(word.spoken for word in say(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # money
        ("It costs $5.99.", "It costs 5 dollars and 99 cents."),
        ("€3", "3 euros"), ("£1.50", "1 pound and 50 pence"), ("5€", "5 euros"), ("$1", "1 dollar"),
        ("$0.50", "50 cents"), ("$0.01", "1 cent"), ("$3.00", "3 dollars"), ("$1,200", "1,200 dollars"),
        ("$5 million", "5 million dollars"), ("$1.5M", "1.5 million dollars"),
        ("$20k", "20 thousand dollars"),
        ("$5-10", "5 to 10 dollars"), ("$5-$10", "5 to 10 dollars"), ("-$5", "minus 5 dollars"),
        ("$20/month", "20 dollars per month"), ("¥100", "100 yen"),
        # dates
        ("2024-05-06", "May 6th, 2024"), ("1995-12-01.", "December 1st, nineteen ninety five."),
        ("05/06/2024", "May 6th, 2024"), ("25/12/2024", "December 25th, 2024"),
        ("2024-99-99", "2 0 2 4 9 9 9 9"), ("May 6, 2024", "May 6th, 2024"), ("Jan. 5th", "January 5th"),
        ("on Sept 22", "on September 22nd"), ("March 3rd", "March 3rd"), ("I may 5 times", "I may 5 times"),
        # years
        ("in 1995", "in nineteen ninety five"), ("1905", "nineteen oh five"), ("1900", "nineteen hundred"),
        ("2024", "2024"), ("the 1990s", "the 19 nineties"), ("the '80s", "the eighties"),
        ("0000-01-01", "January 1st, zero"),
        ("1914-1918", "nineteen fourteen to nineteen eighteen"),
        # times
        ("10:30", "10 30"), ("at 10:30 am", "at 10 30 AM"), ("3:05 p.m. sharp", "3 oh 5 PM sharp"),
        ("3:00", "3 o'clock"), ("5pm", "5 PM"), ("9 a.m. to 5 p.m. daily", "9 AM to 5 PM daily"),
        # phone numbers
        ("415-555-0132", "4 1 5, 5 5 5, 0 1 3 2"), ("(415) 555-0132", "4 1 5, 5 5 5, 0 1 3 2"),
        ("+1 415 555 0132", "1, 4 1 5, 5 5 5, 0 1 3 2"), ("+44 20 7946 0958", "4 4, 2 0, 7 9 4 6, 0 9 5 8"),
        # units
        ("5 km/h", "5 kilometers per hour"), ("1 km", "1 kilometer"), ("25°C", "25 degrees Celsius"),
        ("-5 °F", "minus 5 degrees Fahrenheit"), ("10%", "10 percent"), ("3-5%", "3 to 5 percent"),
        ("16GB", "16 gigabytes"), ("1 ft", "1 foot"), ("5 m²", "5 square meters"),
        ("10–20 kg", "10 to 20 kilograms"),
        ("12 people", "12 people"), ("5 men", "5 men"), ("90°", "90 degrees"),
        # fractions, powers, sums, ranges
        ("3/4", "3 quarters"), ("1/2", "a half"), ("1 1/2", "1 and a half"), ("1/3", "one third"),
        ("2/3", "2 thirds"), ("5/16", "5 over 16"), ("24/7", "24 7"), ("2½", "2 and a half"), ("½", "a half"),
        ("x^2", "x squared"), ("x³", "x cubed"), ("10^6", "10 to the power of 6"),
        ("5 + 3 = 8", "5 plus 3 equals 8"), ("2+2=4", "2 plus 2 equals 4"), ("10 - 3", "10 minus 3"),
        ("5*3", "5 times 3"), ("a < b", "a less than b"), ("3-5 days", "3 to 5 days"), ("~5", "about 5"),
        ("-5", "minus 5"), (".5", "point 5"), ("v2.0", "version 2 point 0"), ("1.2.3", "1 point 2 point 3"),
        # what espeak says well stays
        ("3.5", "3.5"), ("1,000,000", "1,000,000"), ("1st 22nd", "1st 22nd"), ("H2O", "H2O"),
        # addresses
        ("https://www.example.com/a?b=1.", "example dot com."), ("www.foo-bar.org", "foo dash bar dot org"),
        ("Visit openai.com/blog, please", "Visit openai dot com, please"), ("main.py", "main dot py"),
        ("bob.smith@example.com", "bob dot smith at example dot com"),
        # abbreviations
        ("Dr. Smith lives at 12 St. James St.", "Doctor Smith lives at 12 Saint James Street."),
        ("Mr Smith vs. Mrs. Jones", "Mister Smith versus Missus Jones"),
        ("e.g. this, i.e. that, etc.", "for example this, that is that, et cetera."),
        ("the U.S. Army", "the US Army"), ("the U.S.A.", "the USA."), ("J. K. Rowling", "J K Rowling"),
        ("No. 5", "number 5"), ("No.", "No."), ("NASA and the FBI", "NASA and the FBI"), ("Ph.D.", "PHD."),
        # signs
        ("A & B", "A and B"), ("Q&A", "Q and A"), ("a @ b", "a at b"), ("@bob", "at bob"), ("#1", "number 1"),
        ("#fun", "hashtag fun"), ("C++ and C#", "C plus plus and C sharp"), ("and/or", "and or"),
        ("he/she", "he she"), ("snake_case", "snake case"), ("©2024", "copyright 2024"),
        # pauses
        ("I'm here... wait", "I'm here, wait"), ("wait…what", "wait, what"), ("word—word", "word, word"),
        ("a — b", "a, b"), ("so?!", "so?"), ("Wait! Now", "Wait, Now"), ('"quoted" (aside)', "quoted aside"),
        ("1. Open", "1, Open"), ("it’s", "it's"), ("well-known", "well-known"),
        # nothing to say
        ("hi :-)", "hi"), (":) hi", "hi"), ("...", ""), ("", ""),
        ("— !", ""), ("日本語", ""), ("日本語 ok", "ok"),
    ],
)  # fmt: skip
def test_what_is_said(text: str, expected: str) -> None:
    assert spoken(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("World War II ended in 1945.", "World War 2 ended in nineteen forty five."),
        ("World War I began, and I was not there.", "World War 1 began, and I was not there."),
        ("Louis XIV's palace", "Louis the fourteenth's palace"), ("Henry VIII.", "Henry the eighth."),
        ("Pope John Paul II", "Pope John Paul the second"),
        ("George V and Leo X", "George the fifth and Leo the tenth"),
        ("Type II diabetes", "Type 2 diabetes"), ("stage IV cancer", "stage 4 cancer"),
        ("Rocky IV", "Rocky 4"), ("Act V, Scene III", "Act 5, Scene 3"), ("Chapter X", "Chapter 10"),
        ("Final Fantasy VII", "Final Fantasy 7"), ("Super Bowl LVIII", "Super Bowl 58"),
        ("Super Bowl XX", "Super Bowl 20"), ("parts II and III", "parts 2 and 3"),
        ("WWII and WW1", "World War 2 and World War 1"), ("Apollo XI", "Apollo 11"),
        # other things in the same letters
        ("an IV drip", "an I V drip"), ("Start IV fluids.", "Start I V fluids."),
        ("The IV is in.", "The I V is in."), ("Phase IV antibiotics", "Phase I V antibiotics"),
        ("She needs an IV.", "She needs an I V."), ("XX chromosomes", "X X chromosomes"),
        ("the numeral XIV", "the numeral X I V"), ("Malcolm X spoke.", "Malcolm X spoke."),
        ("solve for X", "solve for X"), ("a V engine", "a V engine"),
        ("As I said, I do.", "As I said, I do."), ("Act I liked", "Act I liked"), ("Mary I", "Mary I"),
        ("an XL shirt", "an XL shirt"), ("my CV", "my CV"), ("MIX it", "MIX it"), ("LIV", "LIV"),
        ("X-ray", "X-ray"), ("Mary V. Smith", "Mary V Smith"), ("Xi Jinping", "Xi Jinping"),
        ("a VIP", "a VIP"), ("iPhone X", "iPhone X"),
        ("Vitamin C", "Vitamin C"), ("5 V", "5 volts"), ("L. Smith", "L Smith"),
        ("V. S. Naipaul", "V S Naipaul"), ("Xbox Series X", "Xbox Series X"),
        ("the Model X", "the Model X"), ("Generation X", "Generation X"),
    ],
)  # fmt: skip
def test_roman_numerals(text: str, expected: str) -> None:
    assert spoken(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10–4pm on Sundays", "10 to 4 PM on Sundays"), ("5–6pm.", "5 to 6 PM."),
        ("Monday–Friday, 9:00–17:00", "Monday to Friday, 9 o'clock to 17 o'clock"),
        ("9:00-5:00", "9 o'clock to 5 o'clock"), ("10 – 3", "10 to 3"),
        ("9:00 – 17:00", "9 o'clock to 17 o'clock"),
        ("9 AM – 5 PM", "9 AM to 5 PM"), ("$5 - $10", "5 dollars to 10 dollars"),
        ("5–10-minute breaks", "5 to 10-minute breaks"), ("a 3–4x increase", "a 3 to 4x increase"),
        ("20°C–25°C", "20 degrees Celsius to 25 degrees Celsius"), ("5%-10%!", "5 percent to 10 percent!"),
        ("$5‑$10", "5 to 10 dollars"), ("(1990s–2000s)", "19 nineties to two thousands"),
        ("a well‑known, state‑of‑the‑art tool", "a well-known, state-of-the-art tool"),
        ("the New York–London flight", "the New York-London flight"), ("6′2″", "6 foot 2"),
        ("he is 5'11\"", "he is 5 foot 11"), ("foo(bar)", "foo bar"), ("\\frac{1}{2}", "frac 1 2"),
        ("a|b", "a b"), ("40.7°N", "40.7 degrees N"),
        # what only looks like it
        ("10 - 3", "10 minus 3"), ("COVID-19", "COVID-19"),
        ("a 10-minute, 3-D film", "a 10-minute, 3-D film"), ("F-16", "F-16"),
        ("a 5-year-old", "a 5-year-old"), ("the file(s)", "the files"), ("don´t", "don't"),
        ("cafés", "cafés"), ("word – word", "word, word"), ("1-2-3", "1-2-3"), ("the 7-8th", "the 7-8th"),
    ],
)  # fmt: skip
def test_ranges_and_signs_within_a_word(text: str, expected: str) -> None:
    assert spoken(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Great :) and ;-) or =D", "Great and or"), ("Cool 8-)", "Cool"), ("haha xD", "haha"),
        ("I <3 you", "I you"), ("Love it <3", "Love it"), ("ok :-/ then", "ok then"),
        # what only looks like it
        ("Windows XP is old.", "Windows XP is old."),
        ("You gain 50 XP for that.", "You gain 50 XP for that."),
        ("There are eight planets (8) in all.", "There are eight planets 8 in all."),
        ("Children (age 8) may come.", "Children age 8 may come."),
        ("the variable (x) now", "the variable x now"), ("8) Mix the eggs.", "8 Mix the eggs."),
        ("It's <3 weeks.", "It's less than 3 weeks."), ("the sign (=) is", "the sign equals is"),
        ("XO and xp", "XO and xp"), ("Adobe XD", "Adobe XD"),
    ],
)  # fmt: skip
def test_smileys_are_not_said(text: str, expected: str) -> None:
    assert spoken(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The fee is US$50 million.", "The fee is 50 million US dollars."),
        ("CA$5 or A$1", "5 Canadian dollars or 1 Australian dollar"), ("R$10", "10 reais"),
        ("~$5 million", "about 5 million dollars"), ("≈$20", "about 20 dollars"),
        ("<$5", "less than 5 dollars"), (">$5", "more than 5 dollars"), ("+$5", "plus 5 dollars"),
        ("−$5", "minus 5 dollars"), ("$-5", "minus 5 dollars"),
        ("$10M-$20M", "10 million to 20 million dollars"),
        ("$5K–$10K", "5 thousand to 10 thousand dollars"),
        ("$10k-20k", "10 thousand to 20 thousand dollars"), ("$5-10 million", "5 to 10 million dollars"),
        ("$20/person/day", "20 dollars per person per day"), ("$15/hr", "15 dollars per hour"),
        ("25¢", "25 cents"), ("10,50 €", "10 euros and 50 cents"), ("€5,00", "5 euros"),
        ("$5,500", "5,500 dollars"), ("$1,234.56", "1,234 dollars and 56 cents"),
        ("$100-a-night rooms", "100 dollars -a-night rooms"),
        ("a $100-million deal", "a 100 million dollars deal"), ("US$", "US dollar"),
        ("the $ sign", "the dollar sign"), ("$500+", "500 dollars plus"),
        # what only looks like it
        ("Ke$ha and A$AP", "Keha and AAP"), ("5 Bs", "5 Bs"), ("$5 Monday", "5 dollars Monday"),
        ("$5 mugs", "5 dollars mugs"), ("A 5", "A 5"), ("CA, US", "CA, US"), ("1,500", "1,500"),
        ("-5 < 3", "minus 5 less than 3"),
    ],
)  # fmt: skip
def test_money(text: str, expected: str) -> None:
    assert spoken(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write 500-1000 words.", "Write 500 to 1000 words."),
        ("Take 200-1000 mg", "Take 200 to 1000 milligrams"), ("1s and 0s", "ones and zeros"),
        ("100s of people, 1000s", "hundreds of people, thousands"), ("10s of them", "tens of them"),
        ("iPhone 5s", "iPhone 5 S"), ("the 00s", "the two thousands"), ("10,000s", "ten thousands"),
        ("30s rest, 45s work", "30 seconds rest, 45 seconds work"), ("wait 30s.", "wait 30 seconds."),
        ("mid-1990s", "mid 19 nineties"), ("in her mid-30s", "in her mid thirties"),
        ("mid-2000s", "mid two thousands"), ("I'd give it 8/10.", "I'd give it 8 out of 10."),
        ("85/100", "85 out of 100"), ("a 50/50 chance", "a 50 50 chance"), ("20/20", "20 20"),
        ("80/20", "80 20"), ("On 12/25 we meet.", "On December 25th we meet."),
        ("a 1/2-inch bolt", "a half inch bolt"), ("2-1/2 cups", "2 and a half cups"),
        ("a 1/4 cup", "a quarter cup"), ("3/4-inch", "3 quarters inch"), ("5⅛", "5 and an eighth"),
        ("⅜", "3 eighths"), ("Call 911 right away.", "Call 9 1 1 right away."),
        ("dial 112 or 999", "dial 1 1 2 or 9 9 9"), ("a 911 operator", "a 9 1 1 operator"),
        ("1.5M views, 200K", "1.5 million views, 200 thousand"), ("7B parameters", "7 billion parameters"),
        ("5M users", "5 million users"), ("2.5B", "2.5 billion"),
        # what only looks like it
        ("555-0130", "5 5 5, 0 1 3 0"), ("call 555-1234", "call 5 5 5, 1 2 3 4"), ("5 s", "5 seconds"),
        ("45s", "45 seconds"), ("1 s", "1 second"), ("80s music", "eighties music"),
        ("songs for 80s fans", "songs for eighties fans"), ("a 100M dash", "a 100M dash"),
        ("the 1800s", "the 18 hundreds"), ("7/10 of a mile", "7 tenths of a mile"), ("1/10", "one tenth"),
        ("120/80", "120 over 80"), ("a 5/16 bolt", "a 5 over 16 bolt"), ("by 3/4", "by 3 quarters"),
        ("on 1/2 cup", "on a half cup"), ("4/5", "4 fifths"), ("the Porsche 911", "the Porsche 911"),
        ("911 pages", "911 pages"), ("Call 112 people", "Call 112 people"),
        ("It cost 999.", "It cost 999."), ("3M tape", "3M tape"), ("a 4K film", "a 4K film"),
        ("a 10K run", "a 10K run"), ("room 12B", "room 12B"), ("my 401K", "my 401K"),
        ("24K gold", "24K gold"), ("5 K", "5 K"),
    ],
)  # fmt: skip
def test_numbers_that_are_no_quantities(text: str, expected: str) -> None:
    assert spoken(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Gen. Lee met Capt. Kirk", "General Lee met Captain Kirk"), ("Mt. Everest", "Mount Everest"),
        ("Ms. Jones", "Miz Jones"), ("dr. Smith", "Doctor Smith"),
        ("I saw the Dr. today.", "I saw the Doctor today."), ("123 Oak Dr.", "123 Oak Drive."),
        ("at 12 Elm Dr. Turn left", "at 12 Elm Drive Turn left"),
        ("on Elm Dr, left", "on Elm Drive, left"), ("see Fig. 3", "see Figure 3"),
        ("est. 1999", "established nineteen ninety nine"), ("Dr. J. Smith", "Doctor J Smith"),
        ("Apple Inc. and Co.", "Apple Incorporated and Company."),
        ("Ask Mr. Fox, Jr. or Sr.", "Ask Mister Fox, Junior or Senior."),
        ("Nos. 1 and 2", "number 1 and 2"),
        # what only looks like it
        ("Your call is at 3 PM EST.", "Your call is at 3 PM EST."), ("I ate a fig.", "I ate a fig."),
        ("Do one more rep.", "Do one more rep."), ("She has MS.", "She has MS."),
        ("I live in MT.", "I live in MT."), ("the last gen.", "the last gen."),
        ("Denver, CO.", "Denver, CO."), ("Hi Dr. Smith", "Hi Doctor Smith"),
        ("Hello Dr.", "Hello Doctor."), ("say no.", "say no."),
        ("the U.S. and N.A.T.O.", "the US and NATO."),
    ],
)  # fmt: skip
def test_abbreviations(text: str, expected: str) -> None:
    assert spoken(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Visit https://www.python.org/ now.", "Visit python dot org now."),
        ("See http://localhost:8080/.", "See localhost port 8080."),
        ("on localhost:8000, ok", "on localhost port 8000, ok"), ("python.org/", "python dot org"),
        ("at 192.168.1.10:8080.", "at 192 dot 168 dot 1 dot 10 port 8080."),
        ("127.0.0.1/admin", "127 dot 0 dot 0 dot 1"), ("(see x.org/?)", "see x dot org?"),
        ("x.org:443/a/", "x dot org port 443"),
        # what only looks like it
        ("10:30", "10 30"), ("Note: this", "Note: this"), ("either/or", "either or"), ("3.5", "3.5"),
        ("1.2.3", "1 point 2 point 3"), ("km/h", "km h"),
    ],
)  # fmt: skip
def test_addresses(text: str, expected: str) -> None:
    assert spoken(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Press <Enter> to go on.", "Press Enter to go on."),
        ("Replace <your-name> or <your name>.", "Replace your name or your name."),
        ("Use List<String>, ok", "Use List of String, ok"), ("<Ctrl>+<C>", "Ctrl plus C"),
        ("<div>", "div"), ("2**3 = 8", "2 cubed equals 8"), ("2**10", "2 to the power of 10"),
        ("length*width", "length times width"), ("(3+4)*5", "3 plus 4 times 5"),
        ("2*(3+4)", "2 times 3 plus 4"), ("a*b*c", "a times b times c"),
        ("if x ≠ 5 then", "if x is not 5 then"), ("A -> B, x == y", "A to B, x equals y"),
        ("x <= 3", "x at most 3"), ("x >= 3", "x at least 3"),
        # what only looks like it
        ("a < b", "a less than b"), ("a<b and c>d", "a less than b and c greater than d"), ("f*ck", "fck"),
        ("*.bin", "star .bin"), ("test_<module>.py", "test module .py"),
        ("5 > 3", "5 greater than 3"), ("well - ok", "well, ok"),
    ],
)  # fmt: skip
def test_code_and_operators(text: str, expected: str) -> None:
    assert spoken(text) == expected


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Just $5.99, ok?", [("Just", "Just"), ("$5.99,", "5 dollars and 99 cents,"), ("ok?", "ok?")]),
        ("$5 million now", [("$5 million", "5 million dollars"), ("now", "now")]),
        ("a — b", [("a —", "a,"), ("b", "b")]),
        (":) hi", [(":) hi", "hi")]),
        ('He said "no."', [("He", "He"), ("said", "said"), ('"no."', "no.")]),
    ],
)  # fmt: skip
def test_each_spoken_piece_keeps_the_words_it_stands_for(text: str, pairs: list[tuple[str, str]]) -> None:
    assert [(word.written, word.spoken) for word in say(text)] == pairs


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Das kostet 5.99 & für 日本", "de", ["Das", "kostet", "5.99 &", "für", "日本"]),
        ("25 % mehr, also 5 € & 3 km", "de", ["25 %", "mehr,", "also", "5 € &", "3", "km"]),
        ("Dr. Müller um 14:30 Uhr.", "de", ["Dr", "Müller", "um", "14:30", "Uhr."]),
        ("20 °C – oui", "fr", ["20", "°C,", "oui"]),
        ("आज मौसम अच्छा है।", "hi", ["आज", "मौसम", "अच्छा", "है।"]),
        ("ăn phở ở Việt Nam", "en", ["ăn", "pho", "o", "Viet", "Nam"]),
        ("& so", "de", ["so"]), ("— &", "de", []),
    ],
)  # fmt: skip
def test_another_language_is_left_to_its_own_voice(text: str, language: str, expected: list[str]) -> None:
    assert [word.spoken for word in say(text, language)] == expected


@given(st.text(max_size=120))
def test_any_text_can_be_said_and_nothing_of_it_is_lost_from_the_written_words(text: str) -> None:
    words = say(text)
    if words:
        assert "".join(word.written for word in words).split() == [] or "".join(
            "".join(word.written.split()) for word in words
        ) == "".join(text.split())
    assert all(any(c.isalnum() for c in word.spoken) for word in words)


@given(st.text(alphabet="abzA 019.,:;!?$€%/-–+^@#&'\"()°½", max_size=60))
def test_no_full_stop_is_left_inside_a_clause(text: str) -> None:
    inner = " ".join(word.spoken for word in say(text)[:-1])
    assert ". " not in inner
    assert "? " not in inner
