"""What callers say and what the scripted language model answers. English, as people talk to an assistant."""

from __future__ import annotations

QUESTIONS = (
    ("What is the capital of France?", "The capital of France is Paris."),
    ("How many days are there in a leap year?", "A leap year has three hundred sixty six days."),
    ("Who wrote Romeo and Juliet?", "William Shakespeare wrote it."),
    ("What color is the sky on a clear day?", "On a clear day the sky is blue."),
    ("Turn off the lights in the kitchen, please.", "The kitchen lights are off."),
    ("What is the largest planet in the solar system?", "The largest planet is Jupiter."),
    ("Why is the sea salty?", "Rivers carry salt from the rocks into it."),
    ("How far away is the moon?", "About two hundred forty thousand miles."),
    ("Which river flows through London?", "The Thames flows through London."),
    ("What should I cook for dinner tonight?", "How about a mushroom risotto."),
)
"""(what the caller asks, the reply)."""

ANSWERS = (
    (
        "What is the capital of Italy?",
        "It is Rome. Shall I tell you more about it?",
        "No thanks.",
        "All right.",
    ),
    ("Is the oven still on?", "Yes it is. Should I turn it off?", "Yes.", "The oven is off."),
    (
        "Please set a timer for me.",
        "Sure. How many minutes should it run?",
        "Twelve.",
        "Twelve minutes it is.",
    ),
    (
        "I am looking for a present.",
        "Would you like some ideas?",
        "Yes please.",
        "A good book is always welcome.",
    ),
    (
        "Play some music for me.",
        "Gladly. Do you want something quiet?",
        "No.",
        "Then here is something lively.",
    ),
    ("Book a table for tonight.", "Of course. For how many people?", "Four.", "A table for four is booked."),
)
"""(what the caller says, the question that answers it, the short answer, the reply)."""

PAUSES = (
    ("hesitation", ("I would like to book a table for", "four people on Friday evening.")),
    ("hesitation", ("Can you remind me to", "call my sister tomorrow morning?")),
    ("hesitation", ("I want to go there by the", "fast train from the airport.")),
    ("hesitation", ("What is the name of the", "river that flows through London?")),
    ("comma", ("If it rains tomorrow,", "should I take the bus to work?")),
    ("comma", ("When I get home tonight,", "turn on the lights in the kitchen.")),
    ("comma", ("After the meeting on Monday,", "send a note to my boss.")),
    ("comma", ("Before you answer that,", "tell me how far away the moon is.")),
    ("um", ("Could you tell me, um,", "when the next train leaves?")),
    ("um", ("I want to, uh,", "change my password.")),
    ("um", ("What is the weather like in, um,", "Copenhagen?")),
    ("um", ("So, um,", "how long should I boil an egg?")),
    ("list", ("I need some milk,", "two loaves of bread,", "and a dozen eggs.")),
    ("list", ("Please add apples,", "oranges,", "and bananas to my list.")),
    ("list", ("Invite Peter,", "Susan,", "and my brother Tom.")),
    ("list", ("Pack my shoes,", "my coat,", "and the blue umbrella.")),
    ("digits", ("Four one five,", "five five five,", "oh one three two.")),
    ("digits", ("My number is oh two oh,", "seven nine four six,", "oh nine five eight.")),
    ("digits", ("It is eight six two,", "three three,", "nine one seven.")),
    ("digits", ("Six one seven,", "two five three,", "one thousand.")),
)
"""(kind, stretches between which the caller pauses)."""

ASKS_FOR_DIGITS = ("Please call the dentist for me.", "Sure. What is the phone number?")
"""Said before digits are."""

GOING_ON = (
    ("I want to visit the museum.", "And then the old town.", "That makes a fine day."),
    ("Wake me up at seven tomorrow.", "No, better make it eight.", "Eight it is."),
    ("Tell me how to get to the station.", "By bicycle, if possible.", "Follow the river to the north."),
    ("I am planning a trip to Norway.", "In the summer, with my family.", "Summer is a lovely time there."),
    ("Write a message to my mother.", "Tell her I will be late.", "Your mother will know."),
    ("What can I make with eggs?", "And some cheese and spinach.", "How about an omelette."),
)
"""(a complete sentence, how it goes on after all, the reply)."""

LONG = (
    (
        "Tell me about the moon.",
        "The moon goes around the earth once every month. "
        "Its pull makes the tides of our oceans rise and fall.",
    ),
    (
        "How do I make a good cup of tea?",
        "Boil some fresh water and warm the pot with it. "
        "Then add one spoon of leaves for every cup you want.",
    ),
    (
        "Why do leaves change their color?",
        "In autumn the trees stop making the green that feeds them. "
        "So the yellow and the red can be seen at last.",
    ),
    (
        "Please tell me something about cats.",
        "Cats sleep for most of the day. They use their whiskers to feel their way when it is getting dark.",
    ),
    (
        "What is the history of this city?",
        "It began as a small harbor where fishermen sold their catch. "
        "Later a railway came, then the factories.",
    ),
    (
        "How does a bicycle stay upright?",
        "When it leans to one side, the front wheel turns to that side too. "
        "That keeps its balance while it rolls.",
    ),
)
"""(what the caller asks, a reply of about six seconds)."""

INTERRUPTIONS = (
    ("Stop, that is enough.", ""),
    ("Wait, what about the stars?", "The stars are much farther away."),
    ("No, I meant the other one.", "Then let me start again."),
    ("Hold on, I have another question.", "Go ahead, I am listening."),
    ("Tell me about something else instead.", "Gladly, what would you like to hear about?"),
    ("Sorry, but how long does it take?", "It takes about an hour."),
)
"""(what the caller cuts in with, the reply; none where silence is wanted)."""

BACKCHANNELS = ("Mm-hm.", "Yeah.", "Right.", "Okay.", "Uh huh.", "I see.")
